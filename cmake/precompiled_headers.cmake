# SPDX-License-Identifier: MIT
# Headers of others that most sources read: compiled once, they save a fifth of a source's time. Only what no commit of
# this project changes is among them, so that a compiler cache stays right; and each source still includes what it uses,
# which a build with CMAKE_DISABLE_PRECOMPILE_HEADERS shows. A project that adds Heron's folder has its own ways.

# ccache refuses them unless it may leave __DATE__ and the like out of account.
if(PROJECT_IS_TOP_LEVEL AND UNIX AND CMAKE_CXX_COMPILER_LAUNCHER MATCHES "ccache")
    set_property(GLOBAL PROPERTY RULE_LAUNCH_COMPILE "env CCACHE_SLOPPINESS=pch_defines,time_macros")
endif()

# heron_precompile(<target> [<header>...]): the standard library's, Vulkan's and these.
function(heron_precompile target)
    if(PROJECT_IS_TOP_LEVEL)
        set(headers ${ARGN} <algorithm> <array> <bit> <cmath> <cstddef> <cstdint> <cstring> <filesystem> <functional>
            <limits> <map> <memory> <numeric> <optional> <set> <span> <stdexcept> <string> <string_view> <unordered_map>
            <utility> <vector> <vulkan/vulkan_core.h>)
        list(TRANSFORM headers REPLACE "(.+)>$" "$<$<COMPILE_LANGUAGE:CXX>:\\1$<ANGLE-R>>")
        target_precompile_headers(${target} PRIVATE ${headers})
    endif()
endfunction()
