// free_text: for texts that are done with before their owner is.
#pragma once

#include <string>

namespace infermesh {

// Empties a text and frees its memory, which assigning an empty one does not.
inline void free_text(std::string& text) {
  std::string().swap(text);
}

}  // namespace infermesh
