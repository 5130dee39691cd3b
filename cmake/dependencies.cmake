# Third-party libraries, each as one target with system includes. Why each was chosen: docs/design.
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
# Debian ships libfmt only as a shared object: the binary people run compiles it in.
set(FMT_TARGET fmt::fmt)
if(INFERMESH_STATIC)
  set(FMT_TARGET fmt::fmt-header-only)
endif()
find_package(Boost 1.81 REQUIRED COMPONENTS json)

add_library(boost_json INTERFACE)
find_library(BOOST_JSON_STATIC libboost_json.a REQUIRED)
target_link_libraries(boost_json INTERFACE ${BOOST_JSON_STATIC} Boost::headers)

# OpenSSL's libraries as archives, like all that the binary people run is made of; docs/design.
add_library(openssl INTERFACE)
find_library(SSL_STATIC libssl.a REQUIRED)
find_library(CRYPTO_STATIC libcrypto.a REQUIRED)
target_link_libraries(openssl INTERFACE ${SSL_STATIC} ${CRYPTO_STATIC} Threads::Threads ${CMAKE_DL_LIBS})

add_library(yaml INTERFACE)
find_library(YAML_CPP_STATIC libyaml-cpp.a REQUIRED)
target_link_libraries(yaml INTERFACE ${YAML_CPP_STATIC})

# nghttp2: HTTP/2 frames, header compression and stream states, see docs/design.
add_library(nghttp2 INTERFACE)
find_library(NGHTTP2_STATIC libnghttp2.a REQUIRED)
target_link_libraries(nghttp2 INTERFACE ${NGHTTP2_STATIC})

add_library(zlib INTERFACE)
find_library(ZLIB_STATIC libz.a REQUIRED)
target_link_libraries(zlib INTERFACE ${ZLIB_STATIC})

# llhttp, which the tests compare with: the C source of Debian's node-llhttp package (8.1), see docs/design.
if(INFERMESH_TESTS OR INFERMESH_FUZZ)
  set(LLHTTP_DIR /usr/share/llhttp)
  add_library(llhttp STATIC ${LLHTTP_DIR}/llhttp.c ${LLHTTP_DIR}/api.c ${LLHTTP_DIR}/http.c)
  target_include_directories(llhttp SYSTEM PUBLIC /usr/share/include/llhttp)
  target_compile_options(llhttp PRIVATE -w)
endif()

if(INFERMESH_TESTS)
  find_package(GTest REQUIRED)
  enable_testing()
endif()

# Messages of api/proto, compiled at build time against protobuf's lite runtime, see docs/design.
find_package(Protobuf REQUIRED)
find_library(PROTOBUF_LITE_STATIC libprotobuf-lite.a REQUIRED)
set(PROTO_OUT ${CMAKE_BINARY_DIR}/proto)
add_custom_command(
  OUTPUT ${PROTO_OUT}/otlp/trace.pb.cc ${PROTO_OUT}/otlp/trace.pb.h
  COMMAND ${CMAKE_COMMAND} -E make_directory ${PROTO_OUT}
  COMMAND ${Protobuf_PROTOC_EXECUTABLE} --proto_path=${CMAKE_SOURCE_DIR}/api/proto --cpp_out=${PROTO_OUT} otlp/trace.proto
  DEPENDS ${CMAKE_SOURCE_DIR}/api/proto/otlp/trace.proto VERBATIM)
add_library(otlp_proto STATIC ${PROTO_OUT}/otlp/trace.pb.cc)
target_include_directories(otlp_proto SYSTEM PUBLIC ${PROTO_OUT})
target_link_libraries(otlp_proto PUBLIC ${PROTOBUF_LITE_STATIC} Threads::Threads)
target_compile_options(otlp_proto PRIVATE -w)
