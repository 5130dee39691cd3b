// DiskFolder: port::Folder over a folder of the file system. A file is read again only when its
// size, time or inode changed.
#pragma once

#include <map>

#include "port/loop.h"

namespace infermesh::io {

class DiskFolder final : public port::Folder {
 public:
  explicit DiskFolder(std::string path) : path_(std::move(path)) {}
  Result<std::vector<port::FileText>> read() override;
  std::string path() const override { return path_; }

 private:
  struct Known {
    std::int64_t size = -1, seconds = 0, nanoseconds = 0;
    std::uint64_t inode = 0;
    std::string text;
  };
  std::string path_;
  std::map<std::string, Known> known_;
};

// A whole file of at most 16 MiB.
Result<std::string> read_file(const std::string& path);
// Replaces a file in one step (written beside it, then renamed), so no reader sees half of it.
Result<void> write_file(const std::string& path, std::string_view text);

}  // namespace infermesh::io
