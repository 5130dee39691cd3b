#include "io/folder.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace infermesh::io {
namespace {

constexpr std::size_t kFileBytesMax = 16 << 20;
constexpr std::size_t kFilesMax = 4096;

std::unexpected<Error> failed(std::string_view what, const std::string& path) {
  return fail(ErrorCode::kUnavailable,
              fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

bool is_yaml(std::string_view name) {
  return !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml"));
}

Result<std::vector<std::string>> yaml_names(const std::string& path) {
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(path.c_str()));
  if (!dir) return failed("read the folder", path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir.get())) {
    if (is_yaml(entry->d_name)) names.emplace_back(entry->d_name);
  }
  if (names.size() > kFilesMax) {
    return fail(ErrorCode::kInvalidConfig, fmt::format("{} has over {} files", path, kFilesMax));
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  if (!file) return failed("open", path);
  std::string text;
  char block[16384];
  while (const std::size_t got = std::fread(block, 1, sizeof block, file.get())) {
    text.append(block, got);
    if (text.size() > kFileBytesMax) {
      return fail(ErrorCode::kInvalidConfig,
                  fmt::format("{} is over {} bytes", path, kFileBytesMax));
    }
  }
  if (std::ferror(file.get())) return failed("read", path);
  return text;
}

Result<void> write_file(const std::string& path, std::string_view text) {
  const std::string beside = fmt::format("{}.{}.new", path, ::getpid());
  {
    const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(beside.c_str(), "wb"));
    if (!file) return failed("write", beside);
    if (std::fwrite(text.data(), 1, text.size(), file.get()) != text.size())
      return failed("write", beside);
  }
  if (std::rename(beside.c_str(), path.c_str()) != 0) return failed("write", path);
  return {};
}

Result<std::vector<port::FileText>> DiskFolder::read() {
  auto names = yaml_names(path_);
  if (!names) return std::unexpected(names.error());
  std::map<std::string, Known> seen;
  std::vector<port::FileText> files;
  for (const std::string& name : *names) {
    const std::string full = path_ + "/" + name;
    struct stat info{};
    if (::stat(full.c_str(), &info) != 0) continue;  // removed since the listing
    Known known = known_.contains(name) ? known_[name] : Known{};
    const bool same = known.size == info.st_size && known.seconds == info.st_mtim.tv_sec &&
                      known.nanoseconds == info.st_mtim.tv_nsec && known.inode == info.st_ino;
    if (!same) {
      auto text = read_file(full);
      if (!text) return std::unexpected(text.error());
      known = {info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_ino,
               std::move(*text)};
    }
    files.push_back({name, known.text});
    seen.emplace(name, std::move(known));
  }
  known_ = std::move(seen);
  return files;
}

}  // namespace infermesh::io
