// SPDX-License-Identifier: MIT
// Files of tensors through C: what is written comes back, through C and through C++, and errors name their
// cause.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "heron/heron.h"
#include "heron/state.hpp"

namespace heron {
namespace {

constexpr std::array<float, 6> kMatrix = {1, -2, 3.5f, 0, 1e-30f, 65504};
constexpr std::array<std::int64_t, 1> kStep = {-7};

class CState : public ::testing::Test {
protected:
    void SetUp() override {
        const std::uint64_t extents[] = {2, 3};
        const heron_file_tensor_source tensors[] = {
            {"step", HERON_FILE_DTYPE_I64, 0, nullptr, kStep.data(), sizeof kStep},
            {"fc.weight", HERON_FILE_DTYPE_F32, 2, extents, kMatrix.data(), sizeof kMatrix}};
        const heron_metadata_entry metadata[] = {{"note", "by hand"}};
        ASSERT_EQ(heron_write_safetensors(path_.c_str(), tensors, 2, metadata, 1, nullptr), HERON_SUCCESS)
            << heron_last_error();
        ASSERT_EQ(heron_safetensors_reader_create(path_.c_str(), nullptr, &reader_), HERON_SUCCESS)
            << heron_last_error();
    }
    void TearDown() override {
        heron_safetensors_reader_destroy(reader_);
        std::filesystem::remove(path_);
    }

    // Of the test's own: they run beside each other.
    const std::string path_ =
        (std::filesystem::path(::testing::TempDir()) /
         (std::string("heron_c_state_") + ::testing::UnitTest::GetInstance()->current_test_info()->name()))
            .string();
    heron_safetensors_reader* reader_ = nullptr;
};

TEST_F(CState, NamesShapesAndTextsAreThoseOfCpp) {
    const SafetensorsReader expected{std::filesystem::path(path_)};
    EXPECT_EQ(heron_safetensors_reader_label(reader_), expected.label());
    ASSERT_EQ(heron_safetensors_reader_tensor_count(reader_), expected.tensors().size());
    for (std::uint32_t i = 0; i < 2; ++i) {
        const heron_file_tensor& tensor = *heron_safetensors_reader_tensor(reader_, i);
        const FileTensor& same = expected.tensors()[i];
        EXPECT_EQ(tensor.name, same.name);
        EXPECT_EQ(static_cast<FileDType>(tensor.dtype), same.dtype);
        EXPECT_EQ(std::vector<std::uint64_t>(tensor.shape, tensor.shape + tensor.rank), same.shape);
        EXPECT_EQ(tensor.count, same.count);
        EXPECT_EQ(tensor.offset, same.offset);
        EXPECT_EQ(tensor.bytes, same.bytes);
        EXPECT_EQ(heron_safetensors_reader_find(reader_, tensor.name), &tensor);
    }
    EXPECT_EQ(heron_safetensors_reader_tensor(reader_, 2), nullptr);
    EXPECT_EQ(heron_safetensors_reader_find(reader_, "fc.bias"), nullptr);
    const heron_metadata* const metadata = heron_safetensors_reader_metadata(reader_);
    EXPECT_EQ(heron_metadata_count(metadata), 1u);
    EXPECT_STREQ(heron_metadata_find(metadata, "note"), "by hand");
}

TEST_F(CState, ValuesComeBack) {
    std::array<float, 6> floats{};
    ASSERT_EQ(heron_safetensors_reader_read(reader_, "fc.weight", floats.data(), sizeof floats),
              HERON_SUCCESS);
    EXPECT_EQ(floats, kMatrix);
    floats = {};
    ASSERT_EQ(heron_safetensors_reader_read_f32(reader_, "fc.weight", floats.data(), 6), HERON_SUCCESS);
    EXPECT_EQ(floats, kMatrix);
    float third = 0;
    ASSERT_EQ(heron_safetensors_reader_read_part(reader_, "fc.weight", 8, &third, sizeof third),
              HERON_SUCCESS);
    EXPECT_EQ(third, kMatrix[2]);
    std::array<double, 6> doubles{};
    ASSERT_EQ(heron_safetensors_reader_read_as_double(reader_, "fc.weight", doubles.data(), 6),
              HERON_SUCCESS);
    EXPECT_EQ(doubles[4], static_cast<double>(kMatrix[4]));
    std::int64_t step = 0;
    ASSERT_EQ(heron_safetensors_reader_read_scalar_i64(reader_, "step", &step), HERON_SUCCESS);
    EXPECT_EQ(step, -7);
}

TEST_F(CState, MisfitsAreRefusedAndChangeNothing) {
    std::array<float, 6> floats{};
    floats[0] = 5;
    EXPECT_EQ(heron_safetensors_reader_read(reader_, "fc.weight", floats.data(), 8),
              HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_safetensors_reader_read_f32(reader_, "fc.weight", floats.data(), 5),
              HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_NE(std::string(heron_last_error()).find("fc.weight"), std::string::npos) << heron_last_error();
    EXPECT_EQ(heron_safetensors_reader_read_f32(reader_, "fc.weight", nullptr, 6),
              HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_safetensors_reader_read_f32(reader_, "step", floats.data(), 1), HERON_ERROR_CORRUPT_FILE);
    EXPECT_EQ(heron_safetensors_reader_read_f32(reader_, "fc.bias", floats.data(), 6),
              HERON_ERROR_CORRUPT_FILE);
    std::uint64_t step = 5;
    EXPECT_EQ(heron_safetensors_reader_read_scalar_u64(reader_, "step", &step), HERON_ERROR_CORRUPT_FILE);
    EXPECT_EQ(step, 5u);
    EXPECT_EQ(floats[0], 5);

    heron_safetensors_limits limits;
    ASSERT_EQ(heron_safetensors_limits_init(&limits), HERON_SUCCESS);
    EXPECT_EQ(limits.header_bytes, SafetensorsLimits{}.header_bytes);
    limits.header_bytes = 8;
    heron_safetensors_reader* refused = nullptr;
    EXPECT_EQ(heron_safetensors_reader_create(path_.c_str(), &limits, &refused), HERON_ERROR_CORRUPT_FILE);
    EXPECT_EQ(heron_safetensors_reader_create("no/such/file", nullptr, &refused), HERON_ERROR_IO);
    EXPECT_EQ(refused, nullptr);

    const heron_file_tensor_source shorter = {"a", HERON_FILE_DTYPE_F32, 0, nullptr, floats.data(), 3};
    EXPECT_EQ(heron_write_safetensors(path_.c_str(), &shorter, 1, nullptr, 0, nullptr),
              HERON_ERROR_INVALID_ARGUMENT);
    ASSERT_EQ(heron_safetensors_reader_create(path_.c_str(), nullptr, &refused), HERON_SUCCESS);
    EXPECT_EQ(heron_safetensors_reader_tensor_count(refused), 2u);  // the old file
    heron_safetensors_reader_destroy(refused);
}

// A ramp that is computed while it is written, as if it came from somewhere else.
struct Ramp {
    std::vector<std::uint64_t> offsets;
    std::uint64_t end = ~std::uint64_t{0};  // from which byte on it fails

    static bool fill(void* self, std::uint64_t offset, void* chunk, std::size_t bytes) {
        auto& ramp = *static_cast<Ramp*>(self);
        ramp.offsets.push_back(offset);
        if (offset >= ramp.end) return false;
        for (std::size_t at = 0; at < bytes; at += sizeof(float)) {
            const auto value = static_cast<float>((offset + at) / sizeof(float));
            std::memcpy(static_cast<char*>(chunk) + at, &value, sizeof value);
        }
        return true;
    }
};

TEST_F(CState, TensorsMayBeFilledChunkByChunk) {
    constexpr std::uint64_t kCount = 100;
    heron_safetensors_write_options options;
    ASSERT_EQ(heron_safetensors_write_options_init(&options), HERON_SUCCESS);
    EXPECT_EQ(options.chunk_bytes, SafetensorsWriteOptions{}.chunk_bytes);
    options.chunk_bytes = 64;
    Ramp ramp;
    heron_file_tensor_source source{};
    source.name = "ramp";
    source.dtype = HERON_FILE_DTYPE_F32;
    source.rank = 1;
    source.shape = &kCount;
    source.fill = Ramp::fill;
    source.fill_user = &ramp;
    const auto write = [&] {
        return heron_write_safetensors(path_.c_str(), &source, 1, nullptr, 0, &options);
    };

    ramp.end = 128;
    EXPECT_EQ(write(), HERON_ERROR_IO);
    EXPECT_NE(std::string(heron_last_error()).find("ramp: "), std::string::npos) << heron_last_error();
    EXPECT_EQ(ramp.offsets, (std::vector<std::uint64_t>{0, 64, 128}));
    EXPECT_EQ(SafetensorsReader(std::filesystem::path(path_)).tensors().size(), 2u) << "the old file";

    ramp = {};
    source.data = kMatrix.data();
    EXPECT_EQ(write(), HERON_ERROR_INVALID_ARGUMENT);
    source.data = nullptr;
    EXPECT_EQ(ramp.offsets.size(), 0u);

    ASSERT_EQ(write(), HERON_SUCCESS) << heron_last_error();
    EXPECT_EQ(ramp.offsets, (std::vector<std::uint64_t>{0, 64, 128, 192, 256, 320, 384}));
    const std::vector<float> values = SafetensorsReader(std::filesystem::path(path_)).read_f32("ramp");
    ASSERT_EQ(values.size(), kCount);
    for (std::size_t i = 0; i < kCount; ++i) EXPECT_EQ(values[i], static_cast<float>(i));
}

TEST_F(CState, StreamsHaveTheBytesOfFiles) {
    const heron_file_tensor_source sources[] = {
        {"fc.bias", HERON_FILE_DTYPE_I64, 0, nullptr, kStep.data(), sizeof kStep},
        {"b", HERON_FILE_DTYPE_I64, 0, nullptr, kStep.data(), sizeof kStep}};
    const heron_metadata_entry note = {"note", "streamed"};
    ASSERT_EQ(heron_write_safetensors(path_.c_str(), sources, 2, &note, 1, nullptr), HERON_SUCCESS);
    std::ifstream file(path_, std::ios::binary);
    const std::string expected{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};

    std::string streamed;
    const auto append = [](void* user, const void* data, std::size_t bytes) {
        static_cast<std::string*>(user)->append(static_cast<const char*>(data), bytes);
        return true;
    };
    ASSERT_EQ(heron_stream_safetensors(append, &streamed, sources, 2, &note, 1, nullptr), HERON_SUCCESS)
        << heron_last_error();
    EXPECT_EQ(streamed, expected);

    const auto full = [](void*, const void*, std::size_t) { return false; };
    EXPECT_EQ(heron_stream_safetensors(full, nullptr, sources, 2, &note, 1, nullptr), HERON_ERROR_IO);
    EXPECT_NE(std::string(heron_last_error()).find("sink"), std::string::npos) << heron_last_error();
    EXPECT_EQ(heron_stream_safetensors(nullptr, nullptr, sources, 2, &note, 1, nullptr),
              HERON_ERROR_INVALID_ARGUMENT);
}

TEST_F(CState, FilesInMemoryAreReadUnderTheirLabel) {
    std::ifstream file(path_, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    heron_safetensors_reader* reader = nullptr;
    ASSERT_EQ(
        heron_safetensors_reader_create_from_bytes(bytes.data(), bytes.size(), "archive", nullptr, &reader),
        HERON_SUCCESS)
        << heron_last_error();
    EXPECT_STREQ(heron_safetensors_reader_label(reader), "archive");
    EXPECT_EQ(heron_safetensors_reader_tensor_count(reader), 2u);
    heron_safetensors_reader_destroy(reader);
    reader = nullptr;
    EXPECT_EQ(heron_safetensors_reader_create_from_bytes(bytes.data(), bytes.size() - 1, "archive", nullptr,
                                                         &reader),
              HERON_ERROR_CORRUPT_FILE);
    EXPECT_NE(std::string(heron_last_error()).find("archive"), std::string::npos) << heron_last_error();
}

TEST(CStateHandles, NullIsRefusedOrEmpty) {
    heron_safetensors_reader_destroy(nullptr);
    EXPECT_EQ(heron_safetensors_reader_label(nullptr), nullptr);
    EXPECT_EQ(heron_safetensors_reader_metadata(nullptr), nullptr);
    EXPECT_EQ(heron_safetensors_reader_tensor_count(nullptr), 0u);
    EXPECT_EQ(heron_safetensors_reader_tensor(nullptr, 0), nullptr);
    EXPECT_EQ(heron_safetensors_reader_find(nullptr, "a"), nullptr);
    EXPECT_EQ(heron_safetensors_reader_read(nullptr, "a", nullptr, 0), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_safetensors_reader_create(nullptr, nullptr, nullptr), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_write_safetensors(nullptr, nullptr, 0, nullptr, 0, nullptr),
              HERON_ERROR_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace heron
