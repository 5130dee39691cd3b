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

add_library(xxhash INTERFACE)
target_compile_definitions(xxhash INTERFACE XXH_INLINE_ALL)

add_library(yaml INTERFACE)
find_library(YAML_CPP_STATIC libyaml-cpp.a REQUIRED)
target_link_libraries(yaml INTERFACE ${YAML_CPP_STATIC})

# llhttp: the C source that Debian's node-llhttp package carries (8.1), see docs/design.
set(LLHTTP_DIR /usr/share/llhttp)
add_library(llhttp STATIC ${LLHTTP_DIR}/llhttp.c ${LLHTTP_DIR}/api.c ${LLHTTP_DIR}/http.c)
target_include_directories(llhttp SYSTEM PUBLIC /usr/share/include/llhttp)
target_compile_options(llhttp PRIVATE -w)

if(INFERMESH_TESTS)
  find_package(GTest REQUIRED)
  enable_testing()
endif()
