// SPDX-License-Identifier: MIT
// Writes the valid files from which the fuzzer starts into the folder given as argument.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "state/seed_files.hpp"

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: safetensors_corpus FOLDER\n");
        return 2;
    }
    const std::filesystem::path folder = argv[1];
    std::filesystem::create_directories(folder);
    int index = 0;
    for (const std::string& file : heron::test::seed_files()) {
        std::ofstream out(folder / ("seed" + std::to_string(index++)), std::ios::binary);
        out.write(file.data(), static_cast<std::streamsize>(file.size()));
        if (!out) {
            std::fprintf(stderr, "cannot write to %s\n", argv[1]);
            return 1;
        }
    }
    return 0;
}
