// Identifiers and quantities that must not be mixed up: each is its own type around an integer.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace infermesh {

// An integer with a name. Construct with Id(7) or Tokens(512); read with .value. Ordered and
// hashable.
template <typename Tag, typename Rep>
struct Strong {
  using rep = Rep;
  Rep value{};

  constexpr Strong() = default;
  constexpr explicit Strong(Rep v) : value(v) {}
  constexpr auto operator<=>(const Strong&) const = default;
};

// A Strong that can be added, subtracted and summed up.
template <typename Tag, typename Rep>
struct Quantity : Strong<Tag, Rep> {
  using Strong<Tag, Rep>::Strong;
  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity operator+(Quantity other) const { return Quantity(this->value + other.value); }
  constexpr Quantity operator-(Quantity other) const { return Quantity(this->value - other.value); }
  constexpr Quantity& operator+=(Quantity other) {
    this->value += other.value;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity other) {
    this->value -= other.value;
    return *this;
  }
};

// Index of an endpoint in the load table; stays the same while the endpoint exists and is reused
// only after it has been gone for a while. Ties between endpoints are broken by this id.
using EndpointId = Strong<struct EndpointTag, std::uint16_t>;
using PoolId = Strong<struct PoolTag, std::uint16_t>;
using ModelId = Strong<struct ModelTag, std::uint32_t>;  // index into MeshView::models
using ShardId = Strong<struct ShardTag, std::uint16_t>;

using Tokens = Quantity<struct TokensTag, std::int64_t>;
using Bytes = Quantity<struct BytesTag, std::int64_t>;

constexpr std::size_t kEndpointsMax = 4096;  // an EndpointId is below this

}  // namespace infermesh

template <typename Tag, typename Rep>
struct std::hash<infermesh::Strong<Tag, Rep>> {
  std::size_t operator()(infermesh::Strong<Tag, Rep> id) const {
    return std::hash<Rep>{}(id.value);
  }
};
