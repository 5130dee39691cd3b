// suspend: stops the coroutine that awaits it. `keep` is given, before that returns, what resumes
// it: a function to be called once, which resumes through the executor's queue, never from within;
// who destroys it uncalled destroys the coroutine.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <utility>

#include "port/task.h"

namespace infermesh::port {

using Resume = std::move_only_function<void()>;

template <typename Keep>
auto suspend(Keep keep) {
  using Token = boost::asio::use_awaitable_t<Executor>;
  static constexpr Token kToken{};
  return boost::asio::async_initiate<const Token&, void()>(
      [](auto handler, Keep kept) {
        kept([held = std::move(handler)]() mutable {
          auto executor = boost::asio::get_associated_executor(held);
          boost::asio::post(executor, std::move(held));
        });
      },
      kToken, std::move(keep));
}

}  // namespace infermesh::port
