// SPDX-License-Identifier: MIT
// Labelled 8-bit images in IDX files, as MNIST and Fashion-MNIST are distributed; plain or gzipped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace samples {

struct LabelledImages {
    std::uint32_t count = 0;
    std::uint32_t rows = 0;
    std::uint32_t cols = 0;
    std::vector<std::uint8_t> pixels;  // count x rows x cols
    std::vector<std::uint8_t> labels;  // count
    std::uint32_t pixels_per_image() const { return rows * cols; }
};

struct DataSet {
    LabelledImages train;
    LabelledImages test;
    std::uint32_t classes = 0;
    // From labels.txt, one name a line; else Fashion-MNIST's, else the numbers.
    std::vector<std::string> class_names;
    // Of the training pixels as 0..1.
    float mean = 0;
    float deviation = 1;
};

// Reads {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz] of a folder. Throws BadInput naming the file and
// what is wrong.
DataSet read_data_set(const std::filesystem::path& folder);

// Where Debian's package puts Fashion-MNIST.
inline constexpr const char* kDefaultDataFolder = "/usr/share/datasets/fashion-mnist";

}  // namespace samples
