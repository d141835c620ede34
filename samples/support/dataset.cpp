// SPDX-License-Identifier: MIT
// Strict reader of IDX files: 2 zero bytes, type 8 (unsigned byte), number of axes, big-endian extents, the
// data, the end.
#include "dataset.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <memory>
#include <span>

#include "bad_input.hpp"

namespace samples {

namespace {

namespace fs = std::filesystem;

struct CloseGzip {
    void operator()(gzFile file) const { gzclose(file); }
};

class IdxFile {
public:
    explicit IdxFile(const fs::path& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
        if (!file_) throw BadInput(path.string() + ": cannot be opened");
        gzbuffer(file_.get(), 1 << 17);
    }

    // Reads exactly bytes.size() bytes.
    void read(std::span<std::uint8_t> bytes, const char* what) {
        while (!bytes.empty()) {
            const auto piece = static_cast<unsigned>(std::min<std::size_t>(bytes.size(), 1u << 30));
            const int got = gzread(file_.get(), bytes.data(), piece);
            if (got <= 0) {
                int code = 0;
                const char* reason = gzerror(file_.get(), &code);
                fail(std::string(what) + (code < 0 && code != Z_BUF_ERROR
                                              ? std::string(": ") + reason
                                              : " is cut off: the file is too short"));
            }
            bytes = bytes.subspan(static_cast<std::size_t>(got));
        }
    }

    // The extents, which must be as many as `axes`.
    std::vector<std::uint32_t> read_header(std::uint8_t axes) {
        std::array<std::uint8_t, 4> magic{};
        read(magic, "the header");
        if (magic[0] != 0 || magic[1] != 0) fail("is no IDX file (it must begin with two zero bytes)");
        if (magic[2] != 8)
            fail("has elements of type " + std::to_string(magic[2]) + ", must be 8 (unsigned bytes)");
        if (magic[3] != axes)
            fail("has " + std::to_string(magic[3]) + " axes, must have " + std::to_string(axes));
        std::vector<std::uint32_t> extents;
        for (std::uint8_t axis = 0; axis < axes; ++axis) {
            std::array<std::uint8_t, 4> b{};
            read(b, "the header");
            extents.push_back(std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 |
                              std::uint32_t{b[2]} << 8 | b[3]);
            if (extents.back() == 0) fail("is empty (an extent is 0)");
        }
        return extents;
    }

    // Reads `bytes` bytes in pieces, so that a header that lies does not cost its memory, and demands the
    // file's end.
    std::vector<std::uint8_t> read_rest(std::uint64_t bytes) {
        // Kernels address pixels with 32 bits.
        if (bytes > 0xffffffffull) fail("has more than 4 GiB of data");
        std::vector<std::uint8_t> data;
        while (data.size() < bytes) {
            const std::size_t begin = data.size();
            data.resize(begin + static_cast<std::size_t>(std::min<std::uint64_t>(bytes - begin, 16u << 20)));
            read(std::span(data).subspan(begin), "the data");
        }
        std::uint8_t extra = 0;
        if (gzread(file_.get(), &extra, 1) != 0)
            fail("is longer than its header says, or its checksum is wrong");
        return data;
    }

    [[noreturn]] void fail(const std::string& what) const { throw BadInput(path_.string() + ": " + what); }

private:
    fs::path path_;
    std::unique_ptr<gzFile_s, CloseGzip> file_;
};

fs::path find_file(const fs::path& folder, const std::string& set, const std::string& kind) {
    const std::string stem = set + "-" + kind;
    for (const std::string& name : {stem + "-ubyte", stem + "-ubyte.gz"}) {
        std::string dotted = name;  // some copies of MNIST write train-images.idx3-ubyte
        dotted[dotted.find("-idx")] = '.';
        for (const std::string& candidate : {name, dotted})
            if (fs::is_regular_file(folder / candidate)) return folder / candidate;
    }
    throw BadInput(folder.string() + ": there is no " + stem + "-ubyte or " + stem + "-ubyte.gz");
}

LabelledImages read_labelled_images(const fs::path& folder, const std::string& set) {
    IdxFile image_file(find_file(folder, set, "images-idx3"));
    const auto extents = image_file.read_header(3);
    if (extents[1] > 4096 || extents[2] > 4096)
        image_file.fail("has images of " + std::to_string(extents[1]) + " x " + std::to_string(extents[2]) +
                        " pixels, at most 4096 x 4096 are taken");
    LabelledImages images;
    images.count = extents[0];
    images.rows = extents[1];
    images.cols = extents[2];
    images.pixels = image_file.read_rest(std::uint64_t{extents[0]} * extents[1] * extents[2]);

    IdxFile label_file(find_file(folder, set, "labels-idx1"));
    const auto label_extents = label_file.read_header(1);
    if (label_extents[0] != images.count)
        label_file.fail("has " + std::to_string(label_extents[0]) + " labels for " +
                        std::to_string(images.count) + " images");
    images.labels = label_file.read_rest(label_extents[0]);
    return images;
}

std::vector<std::string> read_class_names(const fs::path& folder, std::uint32_t classes) {
    std::vector<std::string> names;
    if (std::ifstream file(folder / "labels.txt"); file) {
        for (std::string line; std::getline(file, line);) {
            while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
            if (!line.empty()) names.push_back(line);
        }
        if (names.size() < classes)
            throw BadInput((folder / "labels.txt").string() + ": has " + std::to_string(names.size()) +
                           " names for " + std::to_string(classes) + " classes");
    } else if (classes == 10 && fs::weakly_canonical(folder).string().find("fashion") != std::string::npos) {
        names = {"T-shirt", "Trousers", "Pullover", "Dress", "Coat",
                 "Sandal",  "Shirt",    "Sneaker",  "Bag",   "Boot"};
    } else {
        for (std::uint32_t c = 0; c < classes; ++c) names.push_back(std::to_string(c));
    }
    names.resize(classes);
    return names;
}

}  // namespace

DataSet read_data_set(const fs::path& folder) {
    if (!fs::is_directory(folder))
        throw BadInput(
            folder.string() +
            ": there is no such folder. Fashion-MNIST is in Debian's package dataset-fashion-mnist; or give "
            "a folder with the four IDX files to --data");
    DataSet data;
    data.train = read_labelled_images(folder, "train");
    data.test = read_labelled_images(folder, "t10k");
    if (data.test.rows != data.train.rows || data.test.cols != data.train.cols)
        throw BadInput(folder.string() + ": training and test images differ in size");
    const auto highest = [](const LabelledImages& images) {
        return *std::ranges::max_element(images.labels);
    };
    data.classes = std::max<std::uint32_t>(2, std::uint32_t{highest(data.train)} + 1);
    if (highest(data.test) >= data.classes)
        throw BadInput(find_file(folder, "t10k", "labels-idx1").string() + ": has label " +
                       std::to_string(highest(data.test)) + ", which the training set lacks");
    data.class_names = read_class_names(folder, data.classes);

    double sum = 0;
    double squares = 0;
    for (const std::uint8_t pixel : data.train.pixels) {
        const double x = pixel / 255.0;
        sum += x;
        squares += x * x;
    }
    const auto count = static_cast<double>(data.train.pixels.size());
    const double mean = sum / count;
    const double variance = squares / count - mean * mean;
    data.mean = static_cast<float>(mean);
    data.deviation = variance > 1e-12 ? static_cast<float>(std::sqrt(variance)) : 1.0f;
    return data;
}

}  // namespace samples
