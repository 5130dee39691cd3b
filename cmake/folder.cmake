# infermesh_folder(core/route DEPENDS base core/model fmt::fmt): makes the library infermesh_core_route of the
# folder's *.cc and, where it has *_test.cc files, the test program core_route_test. A dependency written with a
# folder's name is that folder's library; anything else is a target of cmake/dependencies.cmake. TEST_DEPENDS names what
# only the test program links.
function(infermesh_folder folder)
  cmake_parse_arguments(arg "" "" "DEPENDS;TEST_DEPENDS" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "(_test|/main)\\.cc$")

  set(links "")
  foreach(dependency ${arg_DEPENDS})
    string(REPLACE "/" "_" dependency_name ${dependency})
    if(TARGET infermesh_${dependency_name})
      list(APPEND links infermesh_${dependency_name})
    else()
      list(APPEND links ${dependency})
    endif()
  endforeach()

  if(sources)
    add_library(infermesh_${name} STATIC ${sources})
    target_include_directories(infermesh_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(infermesh_${name} PUBLIC ${links})
  else()
    add_library(infermesh_${name} INTERFACE)
    target_include_directories(infermesh_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(infermesh_${name} INTERFACE ${links})
  endif()

  if(INFERMESH_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE infermesh_${name} GTest::gtest_main GTest::gmock)
    foreach(dependency ${arg_TEST_DEPENDS})
      string(REPLACE "/" "_" dependency_name ${dependency})
      if(IS_DIRECTORY ${CMAKE_SOURCE_DIR}/src/${dependency})  # its library may come later
        target_link_libraries(${name}_test PRIVATE infermesh_${dependency_name})
      else()
        target_link_libraries(${name}_test PRIVATE ${dependency})
      endif()
    endforeach()
    target_compile_definitions(${name}_test PRIVATE INFERMESH_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    # One entry a program: a process for each single test would cost more than the tests themselves.
    add_test(NAME ${name} COMMAND ${name}_test --gtest_brief=1)
    set_tests_properties(${name} PROPERTIES TIMEOUT 300)
  endif()
endfunction()
