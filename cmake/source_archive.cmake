# SPDX-License-Identifier: MIT
# Included by CPack when it packs: what the archive of sources leaves out. Patterns are matched against whole paths, so
# each begins with the tree's own, which may lie below a folder of any name.
if(CPACK_INSTALLED_DIRECTORIES) # of sources; a package of the installed library has none
    list(GET CPACK_INSTALLED_DIRECTORIES 0 root)
    # At the top of a checkout lies what is no source: builds, results, links to data. So what is one is listed.
    file(GLOB others RELATIVE ${root} ${root}/*)
    list(REMOVE_ITEM others .ci .clang-format .clang-tidy .github .gitignore CMakeLists.txt CMakePresets.json LICENSE
        README.md cmake docs include samples shaders src tests)
    list(APPEND others docs/comparison.csv docs/comparison.runs)
    string(REGEX REPLACE "[^A-Za-z0-9/_-]" "." tree "${root}") # a dot stands for any character
    set(CPACK_IGNORE_FILES "^${tree}/.*~$" "^${tree}/.*/__pycache__/")
    foreach(name IN LISTS others)
        string(REGEX REPLACE "[^A-Za-z0-9/_-]" "." name "${name}")
        list(APPEND CPACK_IGNORE_FILES "^${tree}/${name}(/|$)")
    endforeach()
endif()
