// Text of `infermesh status`: one line about the mesh, the problems, the models.
#pragma once

#include <string>

#include "cli/session.h"

namespace infermesh::cli {

std::string status_text(const json::value& status, const Page& page, Format format);
// The models table, shared with `infermesh models`.
std::string models_text(const json::array& models, const Page& page, Format format,
                        std::size_t indent);
// Each problem with the command that explains it.
std::string problems_text(const json::array& problems, const Page& page);

// The page that tells whether an engine can work, for people to ask themselves.
std::string health_url(const json::value& engine);

Tone tone_of_state(std::string_view state);

}  // namespace infermesh::cli
