# The driver's messages: those of the workspace, or our own definitions of the same package.
#
# kinova_msgs is on no package registry. Where none is found, resource/kinova_msgs is built as a
# project of its own and installed into this package's prefix. A copy that this file installed
# earlier carries a marker and is rebuilt, so that it can't be mistaken for the driver's own.

include(ExternalProject)

function(_kinova_msgs_is_installed out)
  unset(kinova_msgs_DIR CACHE)
  find_package(kinova_msgs QUIET)
  if(kinova_msgs_FOUND AND NOT EXISTS "${kinova_msgs_DIR}/../built_by_adp_ros")
    message(STATUS "kinova_msgs: ${kinova_msgs_DIR}")
    set(${out} TRUE PARENT_SCOPE)
  else()
    set(${out} FALSE PARENT_SCOPE)
  endif()
endfunction()

function(provide_kinova_msgs)
  _kinova_msgs_is_installed(_installed)
  if(_installed)
    return()
  endif()
  set(_source "${CMAKE_CURRENT_SOURCE_DIR}/resource/kinova_msgs")
  set(_build "${CMAKE_CURRENT_BINARY_DIR}/kinova_msgs")
  message(STATUS "kinova_msgs: not installed, built from ${_source}")
  set(_forwarded "")
  foreach(_name IN ITEMS CMAKE_BUILD_TYPE PYTHON_INSTALL_DIR Python3_EXECUTABLE)
    if(DEFINED ${_name})
      list(APPEND _forwarded "-D${_name}=${${_name}}")
    endif()
  endforeach()
  ExternalProject_Add(kinova_msgs
    SOURCE_DIR "${_source}"
    BINARY_DIR "${_build}"
    CMAKE_ARGS
      ${_forwarded}
      "-DCMAKE_INSTALL_PREFIX=${CMAKE_INSTALL_PREFIX}"
      "-DCMAKE_PROJECT_INCLUDE=${CMAKE_CURRENT_SOURCE_DIR}/cmake/ros_wheels.cmake"
      "-DKINOVA_MSGS_BUILT_BY=adp_ros"
      -DBUILD_TESTING=OFF
    BUILD_ALWAYS TRUE
    INSTALL_COMMAND "")
  install(CODE "
    execute_process(
      COMMAND \"${CMAKE_COMMAND}\" --install \"${_build}\" --prefix \"\${CMAKE_INSTALL_PREFIX}\"
      RESULT_VARIABLE _status)
    if(NOT _status EQUAL 0)
      message(FATAL_ERROR \"kinova_msgs could not be installed\")
    endif()")
endfunction()
