// Adapters made of a description: a RuntimeObject says which pages to read and where on them the
// figures stand. Used for what operators describe in YAML and for the built-in runtimes that need
// no more. Pure; the description is compiled once, and the readers share it.
//
// How figures add up: counts over all series or array elements, kv_used is the largest of them
// (with an operator: the sum over the sum). A page on which no source is found is not a load page.
#pragma once

#include "core/model/runtime_object.h"
#include "wire/engine/adapter.h"

namespace infermesh::engines {

// `object` passed check_runtime_object().
Adapter described_adapter(const RuntimeObject& object);

// The same for a built-in runtime, whose row may then replace single pages and readers.
Adapter described_adapter(Runtime runtime, std::string title, const RuntimeObject& object);

}  // namespace infermesh::engines
