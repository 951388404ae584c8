# ROS 2 from Python wheels: three repairs, all no-ops on any other ROS installation.
#
# 1. The exported targets name include directories of the machine that built the wheels; CMake
#    refuses targets with absent directories.
# 2. A virtual environment has no setup script, so AMENT_PREFIX_PATH, in which ament looks for its
#    plugins, may lack the environment's prefix.
# 3. The environment may lie in the source tree (.venv). The generated Python library exports the
#    include directory of the environment's numpy, and CMake refuses to export paths of the
#    source tree; they are needed while building only.
#
# Include it after project(), or pass it as CMAKE_PROJECT_INCLUDE. It works on the directory
# that includes it, once all of that directory's code has run.

# Not in a function: ament_cmake_core may be loaded once only, and remembers it in a variable.
find_package(ament_cmake_core QUIET)
set(_ros_wheels_prefix "")
if(ament_cmake_core_FOUND)
  get_filename_component(_ros_prefix "${ament_cmake_core_DIR}/../../.." ABSOLUTE)
  file(GLOB _metadata "${_ros_prefix}/lib/python3*/site-packages/ros_ament_cmake_core-*.dist-info")
  if(_metadata)
    set(_ros_wheels_prefix "${_ros_prefix}")
  endif()
endif()

function(_ros_wheels_drop_absent_includes)
  get_property(_targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(_target IN LISTS _targets)
    get_target_property(_includes ${_target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT _includes)
      continue()
    endif()
    set(_present "")
    foreach(_include IN LISTS _includes)
      if(_include MATCHES "^\\$<" OR EXISTS "${_include}")
        list(APPEND _present "${_include}")
      endif()
    endforeach()
    set_target_properties(${_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_present}")
  endforeach()
endfunction()

function(_ros_wheels_keep_environment_private)
  get_property(_targets DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
  foreach(_target IN LISTS _targets)
    get_target_property(_includes ${_target} INTERFACE_INCLUDE_DIRECTORIES)
    if(NOT _includes)
      continue()
    endif()
    set(_private "")
    foreach(_include IN LISTS _includes)
      string(FIND "${_include}" "${_ros_wheels_prefix}/" _position)
      if(_position EQUAL 0)
        set(_include "$<BUILD_INTERFACE:${_include}>")
      endif()
      list(APPEND _private "${_include}")
    endforeach()
    set_target_properties(${_target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${_private}")
  endforeach()
endfunction()

if(_ros_wheels_prefix)
  message(STATUS "ROS 2 from Python wheels: ${_ros_wheels_prefix}")
  string(FIND ":$ENV{AMENT_PREFIX_PATH}:" ":${_ros_wheels_prefix}:" _position)
  if(_position EQUAL -1)
    set(ENV{AMENT_PREFIX_PATH} "$ENV{AMENT_PREFIX_PATH}:${_ros_wheels_prefix}")
  endif()
  cmake_language(DEFER CALL _ros_wheels_drop_absent_includes)
  cmake_language(DEFER CALL _ros_wheels_keep_environment_private)
endif()
