# Warnings for our own sources; generated code is built in targets that do not ask for them.
set(NARTHEX_WARNINGS_C
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wundef -Wcast-align -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough
    -Wnull-dereference -Wdouble-promotion -fno-common
    # `##__VA_ARGS__` of nx_log, and __int128
    -Wno-gnu-zero-variadic-macro-arguments)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # -Wpedantic has no switch of its own for these two
    list(REMOVE_ITEM NARTHEX_WARNINGS_C -Wpedantic -Wno-gnu-zero-variadic-macro-arguments)
    # Texts for people are cut at the end of their buffers on purpose.
    list(APPEND NARTHEX_WARNINGS_C -Wno-format-truncation)
endif()
set(NARTHEX_WARNINGS_CXX -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wundef -Wformat=2)
if(NARTHEX_WERROR)
    list(APPEND NARTHEX_WARNINGS_C -Werror)
    list(APPEND NARTHEX_WARNINGS_CXX -Werror)
endif()

# A library of one folder: every .c (and .cc) in it and in the folders listed after DIRS.
function(narthex_library name)
    cmake_parse_arguments(ARG "" "" "DIRS;LINK" ${ARGN})
    set(sources)
    foreach(dir IN LISTS ARG_DIRS)
        file(GLOB found CONFIGURE_DEPENDS ${dir}/*.c ${dir}/*.cc)
        list(APPEND sources ${found})
    endforeach()
    if(sources)
        add_library(${name} STATIC ${sources})
        target_compile_options(${name} PRIVATE
            $<$<COMPILE_LANGUAGE:C>:${NARTHEX_WARNINGS_C}>
            $<$<COMPILE_LANGUAGE:CXX>:${NARTHEX_WARNINGS_CXX}>)
        target_link_libraries(${name} PUBLIC ${ARG_LINK})
    else()
        add_library(${name} INTERFACE)
        target_link_libraries(${name} INTERFACE ${ARG_LINK})
    endif()
endfunction()
