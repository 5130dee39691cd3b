// Task<T>: a coroutine on one loop. The executor type is concrete, which keeps it cheap
// (docs/design/0002).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

namespace infermesh::port {

using Executor = boost::asio::io_context::executor_type;

template <typename T = void>
using Task = boost::asio::awaitable<T, Executor>;

}  // namespace infermesh::port
