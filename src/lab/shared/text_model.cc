#include "lab/shared/text_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/engine/profile.h"

namespace infermesh::lab {
namespace {

static_assert(engine::kBlockTokens == 16);

std::uint64_t mix(std::uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93ULL;
  value ^= value >> 29;
  value *= 0x9e3779b97f4a7c15ULL;
  return value ^ (value >> 32);
}

std::uint64_t absorb(std::uint64_t hash, std::string_view bytes) {
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const std::size_t size = std::min<std::size_t>(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), size);
    hash = (((hash << 27) | (hash >> 37)) ^ word) * 0xff51afd7ed558ccdULL;
    bytes.remove_prefix(size);
  }
  return mix(hash);
}

std::uint64_t nonzero(std::uint64_t hash) {
  return hash == 0 ? 1 : hash;
}

constexpr std::array<std::string_view, 32> kWords{
    "the ", "and ", "for ", "one ", "two ", "key ", "run ", "set ", "all ", "any ", "add ",
    "bit ", "end ", "fit ", "get ", "hit ", "its ", "job ", "let ", "map ", "new ", "now ",
    "old ", "out ", "own ", "put ", "row ", "sum ", "top ", "use ", "way ", "yes "};

double unit(std::uint64_t hash) {
  return static_cast<double>(hash >> 11) * 0x1.0p-53;
}

}  // namespace

void BlockChain::close_block(const char* block) {
  hash_ = nonzero(absorb(hash_, std::string_view(block, kBlockBytes)));
  blocks_.push_back(hash_);
}

void BlockChain::add(std::string_view bytes) {
  if (bytes.empty()) return;
  bytes_ += bytes.size();
  if (partial_size_ > 0) {
    const std::size_t taken = std::min(kBlockBytes - partial_size_, bytes.size());
    std::memcpy(partial_.data() + partial_size_, bytes.data(), taken);
    partial_size_ += taken;
    bytes.remove_prefix(taken);
    if (partial_size_ < kBlockBytes) return;
    close_block(partial_.data());
    partial_size_ = 0;
  }
  while (bytes.size() >= kBlockBytes) {
    close_block(bytes.data());
    bytes.remove_prefix(kBlockBytes);
  }
  if (!bytes.empty()) std::memcpy(partial_.data(), bytes.data(), bytes.size());
  partial_size_ = bytes.size();
}

void BlockChain::add_token(std::uint32_t token) {
  std::array<char, kTokenBytes> bytes;
  std::memcpy(bytes.data(), &token, sizeof token);
  add(std::string_view(bytes.data(), bytes.size()));
}

Tokens BlockChain::tokens() const {
  const std::uint64_t tokens = (bytes_ + kTokenBytes - 1) / kTokenBytes;
  return Tokens(static_cast<std::int64_t>(std::max<std::uint64_t>(tokens, 1)));
}

std::uint64_t BlockChain::hash() const {
  return nonzero(absorb(hash_ ^ bytes_, std::string_view(partial_.data(), partial_size_)));
}

std::string_view output_token(std::uint64_t prompt_hash, std::uint64_t index) {
  return kWords[mix(prompt_hash + index * 0x9e3779b97f4a7c15ULL) % kWords.size()];
}

std::uint64_t natural_length(std::uint64_t prompt_hash, std::uint64_t mean) {
  const double draw = -std::log(1.0 - unit(mix(prompt_hash ^ 0x6c656e677468ULL)));
  const double tokens =
      std::clamp(draw * static_cast<double>(mean), 1.0, static_cast<double>(mean) * 16);
  return static_cast<std::uint64_t>(std::llround(tokens));
}

double embedding_value(std::uint64_t text_hash, std::uint64_t index) {
  return unit(mix(text_hash + (index + 1) * 0xd1342543de82ef95ULL)) * 2 - 1;
}

double score_of(std::uint64_t text_hash) {
  return unit(mix(text_hash ^ 0x73636f7265ULL));
}

std::uint64_t hash_text(std::string_view text, std::uint64_t seed) {
  return nonzero(absorb(seed ^ text.size(), text));
}

}  // namespace infermesh::lab
