# gvmkit_library(NAME SOURCES FILE... [PROTO FILE] [DEPENDS TARGET...])
#
# One library per folder of src/; NAME is the folder ("runtime/volumes"), the target's name has '_' for '/'. Its headers are reached as
# "NAME/header.h" through an include directory that holds NAME alone, so a folder can include only what it is linked with: a wrong include
# fails to build. Several sources are compiled as one unit (GVMKIT_UNITY), so a folder's anonymous namespaces may not define a name twice.
function(gvmkit_library FOLDER)
  cmake_parse_arguments(ARG "" "PROTO" "SOURCES;DEPENDS" ${ARGN})
  string(REPLACE "/" "_" NAME ${FOLDER})
  set(include ${PROJECT_BINARY_DIR}/include/${NAME})
  get_filename_component(parent ${include}/${FOLDER} DIRECTORY)
  file(MAKE_DIRECTORY ${parent})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${include}/${FOLDER} SYMBOLIC)
  add_library(${NAME} STATIC ${ARG_SOURCES})
  target_include_directories(${NAME} PUBLIC ${include})
  gvmkit_unity(${NAME})
  if(ARG_PROTO)
    gvmkit_proto(${NAME} ${FOLDER} ${CMAKE_CURRENT_SOURCE_DIR}/${ARG_PROTO})
    target_link_libraries(${NAME} PUBLIC protobuf::libprotobuf-lite)
  endif()
  target_link_libraries(${NAME} PUBLIC ${ARG_DEPENDS})
endfunction()

# gvmkit_unity(TARGET): compiles six of its sources at once, which halves the time of a whole build.
function(gvmkit_unity TARGET)
  if(GVMKIT_UNITY)
    set_target_properties(${TARGET} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
    # GCC takes every file but the unit's own for a header, and warns of each member whose type is in an anonymous namespace.
    target_compile_options(${TARGET} PRIVATE -Wno-subobject-linkage)
  endif()
endfunction()

# gvmkit_proto(TARGET FOLDER FILE.proto): compiles FILE into TARGET; the header is reached as "FOLDER/FILE.pb.h".
function(gvmkit_proto TARGET FOLDER FILE)
  get_filename_component(stem ${FILE} NAME_WE)
  get_filename_component(directory ${FILE} DIRECTORY)
  set(generated ${PROJECT_BINARY_DIR}/generated/${TARGET})
  set(output ${generated}/${FOLDER}/${stem}.pb)
  file(MAKE_DIRECTORY ${generated}/${FOLDER})
  add_custom_command(OUTPUT ${output}.cc ${output}.h
    COMMAND protobuf::protoc --cpp_out=${generated}/${FOLDER} --proto_path=${directory} ${FILE}
    DEPENDS ${FILE} VERBATIM)
  set_source_files_properties(${output}.cc PROPERTIES COMPILE_OPTIONS -w)
  target_sources(${TARGET} PRIVATE ${output}.cc)
  add_custom_target(${TARGET}_protocol DEPENDS ${output}.h)
  add_dependencies(protocols ${TARGET}_protocol)
  target_include_directories(${TARGET} SYSTEM PUBLIC ${generated})
endfunction()

# gvmkit_uses_qemu(TARGET): a test that starts the runtime's QEMU, which it finds as GVMKIT_QEMU.
function(gvmkit_uses_qemu TARGET)
  target_compile_definitions(${TARGET} PRIVATE GVMKIT_QEMU="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/runtime/qemu/qemu-system-x86_64")
  add_dependencies(${TARGET} qemu)
endfunction()

# gvmkit_test(NAME SOURCES FILE... DEPENDS TARGET...): unit tests of src/NAME in one program.
function(gvmkit_test NAME)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(test_${NAME} ${ARG_SOURCES})
  if(GVMKIT_SANITIZE)  # with which compiling takes thrice as long
    gvmkit_unity(test_${NAME})
    # In a unit GCC 12 takes "a" + std::to_string(n) for a copy that overlaps itself (its bug 105651).
    target_compile_options(test_${NAME} PRIVATE -Wno-restrict)
  endif()
  set_target_properties(test_${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_libraries(test_${NAME} PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  add_test(NAME unit.${NAME} COMMAND test_${NAME})
  # A test that fails prints what failed, not what passed beside it: CI shows the first and last lines alone.
  set_tests_properties(unit.${NAME} PROPERTIES LABELS unit TIMEOUT 300 ENVIRONMENT GTEST_BRIEF=1)
endfunction()

# gvmkit_refuse_shared_libraries(): with GVMKIT_STATIC_LIBRARIES, fails where one of this directory's imported libraries is a shared one. A
# static program cannot be linked with it, and the linker would say so only at the end, of the first it meets.
function(gvmkit_refuse_shared_libraries)
  get_directory_property(targets IMPORTED_TARGETS)
  set(found "")
  foreach(target ${targets})
    get_target_property(type ${target} TYPE)
    if(NOT type MATCHES "_LIBRARY$")
      continue()
    endif()
    set(files "")
    foreach(property INTERFACE_LINK_LIBRARIES IMPORTED_LOCATION IMPORTED_LOCATION_NONE IMPORTED_LOCATION_RELEASE)
      get_target_property(value ${target} ${property})
      if(value)
        list(APPEND files ${value})
      endif()
    endforeach()
    list(FILTER files INCLUDE REGEX "\\.so(\\.[0-9.]+)?$")
    foreach(file ${files})
      string(APPEND found "\n  ${target}: ${file}")
    endforeach()
  endforeach()
  if(found)
    message(FATAL_ERROR "static programs need static archives (GVMKIT_STATIC_LIBRARIES is set), and these libraries are shared:${found}\n"
      "Install their archives, or build them in packaging/static_libraries.sh. Where an older configuration is left: cmake --fresh.")
  endif()
endfunction()
