// SPDX-License-Identifier: MIT
// What is written is read back, byte for byte; the layout is as documented; misuse of reader and writer is
// refused.
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <thread>

#include "state/handmade_file.hpp"

namespace heron {
namespace {

using test::bytes_of_text;
using test::caught;
using test::contains;
using test::file_of;
using test::TemporaryDirectory;

constexpr FileDType kAllDTypes[] = {FileDType::f64,    FileDType::f32, FileDType::f16, FileDType::bf16,
                                    FileDType::i64,    FileDType::i32, FileDType::i16, FileDType::i8,
                                    FileDType::u64,    FileDType::u32, FileDType::u16, FileDType::u8,
                                    FileDType::boolean};

std::string streamed(std::span<const FileTensorSource> tensors,
                     const std::map<std::string, std::string>& metadata = {},
                     const SafetensorsWriteOptions& options = {}) {
    std::string out;
    stream_safetensors(
        [&](std::span<const std::byte> bytes) {
            out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        },
        tensors, metadata, options);
    return out;
}

std::vector<std::byte> random_bytes(std::size_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::byte> bytes(count);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
    return bytes;
}

// A tensor of at most eight zero bytes.
FileTensorSource small_tensor(std::string name, FileDType dtype = FileDType::u8,
                              std::vector<std::uint64_t> shape = {4}) {
    static constexpr std::byte kBytes[8] = {};
    std::uint64_t bytes = bytes_of(dtype);
    for (std::uint64_t extent : shape) bytes *= extent;
    return FileTensorSource::borrow(std::move(name), dtype, std::move(shape), std::span(kBytes).first(bytes));
}

// --- round trips

TEST(Safetensors, EveryDTypeAndShapeComesBackBitForBit) {
    const std::vector<std::vector<std::uint64_t>> shapes = {
        {}, {0}, {1}, {5}, {3, 7}, {0, 9}, {4, 0}, {2, 3, 5}, {1, 1, 1, 1, 1, 1, 1, 1}};
    std::vector<FileTensorSource> sources;
    std::map<std::string, std::vector<std::byte>> expected;
    for (FileDType dtype : kAllDTypes)
        for (const auto& shape : shapes) {
            const std::uint64_t count =
                std::accumulate(shape.begin(), shape.end(), std::uint64_t{1}, std::multiplies<>());
            const std::string name = std::string(to_string(dtype)) + "." + std::to_string(sources.size());
            expected[name] = random_bytes(count * bytes_of(dtype), static_cast<unsigned>(sources.size()));
            sources.push_back(FileTensorSource::borrow(name, dtype, shape, expected[name]));
        }
    const std::map<std::string, std::string> metadata = {
        {"format", "heron 1"}, {"", ""}, {"step", "18446744073709551615"}};

    TemporaryDirectory directory;
    write_safetensors(directory / "all.safetensors", sources, metadata);
    const SafetensorsReader reader(directory / "all.safetensors");

    EXPECT_EQ(reader.metadata(), metadata);
    ASSERT_EQ(reader.tensors().size(), sources.size());
    for (const FileTensorSource& source : sources) {
        const FileTensor& tensor = reader.tensor(source.name);
        EXPECT_EQ(tensor.dtype, source.dtype) << source.name;
        EXPECT_EQ(tensor.shape, source.shape) << source.name;
        EXPECT_EQ(tensor.offset % bytes_of(tensor.dtype), 0u) << source.name;
        std::vector<std::byte> bytes(tensor.bytes);
        reader.read(source.name, bytes);
        EXPECT_EQ(bytes, expected[source.name]) << source.name;
    }
}

TEST(Safetensors, FileWithoutTensorsComesBack) {
    const std::string file = streamed({});
    EXPECT_EQ(file, file_of("{}      "));
    const SafetensorsReader reader(bytes_of_text(file), "empty");
    EXPECT_TRUE(reader.tensors().empty());
    EXPECT_TRUE(reader.metadata().empty());
}

TEST(Safetensors, NamesAndMetadataOfAnyUtf8ComeBack) {
    std::string controls;
    for (char c = 1; c < 0x20; ++c) controls += c;
    const std::string names[] = {"plain",
                                 "\"quoted\\\"",
                                 controls,
                                 std::string("zero\0inside", 11),
                                 "\xC3\xA9\xE2\x82\xAC\xF0\x9F\xA6\xA9",
                                 "",
                                 "\x7F"};
    std::vector<FileTensorSource> sources;
    std::map<std::string, std::string> metadata;
    for (const std::string& name : names) {
        sources.push_back(small_tensor(name));
        metadata[name] = name + name;
    }
    const std::string file = streamed(sources, metadata);
    const SafetensorsReader reader(bytes_of_text(file), "names");
    EXPECT_EQ(reader.metadata(), metadata);
    for (const std::string& name : names) EXPECT_NE(reader.find(name), nullptr) << name;
}

TEST(Safetensors, ScalarsComeBackExactly) {
    const double pi = 3.141592653589793;
    const float tiny = std::numeric_limits<float>::denorm_min();
    const std::vector<FileTensorSource> sources = {
        FileTensorSource::scalar_u64("step", std::numeric_limits<std::uint64_t>::max()),
        FileTensorSource::scalar_i64("offset", std::numeric_limits<std::int64_t>::min()),
        FileTensorSource::scalar_f64("lr", pi), FileTensorSource::scalar_f32("eps", tiny)};
    const std::string file = streamed(sources);
    const SafetensorsReader reader(bytes_of_text(file), "scalars");
    EXPECT_EQ(reader.read_scalar_u64("step"), std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(reader.read_scalar_i64("offset"), std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(reader.read_scalar_f64("lr"), pi);
    EXPECT_EQ(reader.read_scalar_f32("eps"), tiny);
    EXPECT_TRUE(reader.tensor("step").shape.empty());

    const test::Caught error = caught([&] { static_cast<void>(reader.read_scalar_u64("lr")); });
    EXPECT_EQ(error.code, ErrorCode::corrupt_file);
    EXPECT_TRUE(contains(error.text, "tensor \"lr\" is [] of F64, expected one element of U64"))
        << error.text;
}

// --- conversions

template <class T>
std::vector<double> as_double(FileDType dtype, std::vector<T> values) {
    const FileTensorSource source =
        FileTensorSource::borrow("t", dtype, {values.size()}, std::as_bytes(std::span(values)));
    const std::string file = streamed({&source, 1});
    return SafetensorsReader(bytes_of_text(file), "convert").read_as_double("t");
}

TEST(Safetensors, EveryDTypeReadsAsDouble) {
    using D = std::vector<double>;
    EXPECT_EQ(as_double<double>(FileDType::f64, {0.1, -2}), (D{0.1, -2}));
    EXPECT_EQ(as_double<float>(FileDType::f32, {0.5f, -2}), (D{0.5, -2}));
    EXPECT_EQ(as_double<std::uint16_t>(FileDType::f16, {0x3C00, 0xC000, 0x0001}), (D{1, -2, 0x1p-24}));
    EXPECT_EQ(as_double<std::uint16_t>(FileDType::bf16, {0x3F80, 0xC000}), (D{1, -2}));
    EXPECT_EQ(as_double<std::int64_t>(FileDType::i64, {-(std::int64_t{1} << 53)}), (D{-0x1p53}));
    EXPECT_EQ(as_double<std::int32_t>(FileDType::i32, {-7, 7}), (D{-7, 7}));
    EXPECT_EQ(as_double<std::int16_t>(FileDType::i16, {-7, 7}), (D{-7, 7}));
    EXPECT_EQ(as_double<std::int8_t>(FileDType::i8, {-7, 7}), (D{-7, 7}));
    EXPECT_EQ(as_double<std::uint64_t>(FileDType::u64, {std::uint64_t{1} << 63}), (D{0x1p63}));
    EXPECT_EQ(as_double<std::uint32_t>(FileDType::u32, {0xFFFFFFFF}), (D{4294967295.0}));
    EXPECT_EQ(as_double<std::uint16_t>(FileDType::u16, {0xFFFF}), (D{65535}));
    EXPECT_EQ(as_double<std::uint8_t>(FileDType::u8, {0xFF}), (D{255}));
    EXPECT_EQ(as_double<std::uint8_t>(FileDType::boolean, {0, 1}), (D{0, 1}));
}

TEST(Safetensors, LongTensorsReadAsDoubleInOrder) {
    std::vector<std::uint32_t> values(20'001);  // more than two internal pieces
    std::iota(values.begin(), values.end(), 0u);
    const std::vector<double> read = as_double(FileDType::u32, values);
    EXPECT_TRUE(std::equal(read.begin(), read.end(), values.begin(), values.end()));
}

TEST(Safetensors, BooleansOtherThanZeroAndOneAreRefused) {
    const test::Caught error = caught([] { as_double<std::uint8_t>(FileDType::boolean, {0, 2}); });
    EXPECT_EQ(error.code, ErrorCode::corrupt_file);
    EXPECT_TRUE(contains(error.text, "tensor \"t\" of BOOL holds the byte 2")) << error.text;
}

TEST(Safetensors, ReadF32WidensExactlyAndNeverNarrows) {
    const std::uint16_t halves[] = {0x3C00, 0x7C01, 0x8000};
    const std::vector<FileTensorSource> sources = {
        FileTensorSource::borrow("f16", FileDType::f16, {3}, std::as_bytes(std::span(halves))),
        FileTensorSource::borrow("bf16", FileDType::bf16, {3}, std::as_bytes(std::span(halves))),
        FileTensorSource::scalar_f32("f32", 0.1f), FileTensorSource::scalar_f64("f64", 0.1)};
    const std::string file = streamed(sources);
    const SafetensorsReader reader(bytes_of_text(file), "widen");
    const std::vector<float> f16 = reader.read_f32("f16");
    EXPECT_EQ(f16[0], 1.0f);
    EXPECT_TRUE(std::isnan(f16[1]));
    EXPECT_EQ(std::bit_cast<std::uint32_t>(f16[2]), 0x80000000u);
    EXPECT_EQ(reader.read_f32("bf16")[0], std::bit_cast<float>(0x3C000000u));
    EXPECT_EQ(reader.read_f32("f32"), std::vector<float>{0.1f});
    const test::Caught error = caught([&] { static_cast<void>(reader.read_f32("f64")); });
    EXPECT_EQ(error.code, ErrorCode::corrupt_file);
    EXPECT_TRUE(contains(error.text, "tensor \"f64\" is of F64")) << error.text;
}

// --- reading

TEST(SafetensorsReader, ReadsPiecesOfATensor) {
    const std::string file = file_of(R"({"w":{"dtype":"U8","shape":[6],"data_offsets":[0,6]}})", "abcdef");
    const SafetensorsReader reader(bytes_of_text(file), "pieces");
    std::string piece(3, '?');
    reader.read("w", 2, std::as_writable_bytes(std::span(piece)));
    EXPECT_EQ(piece, "cde");
    reader.read("w", 6, {});  // nothing, at the end

    for (std::uint64_t offset : {std::uint64_t{4}, std::uint64_t{7}, ~std::uint64_t{0}}) {
        const test::Caught error =
            caught([&] { reader.read("w", offset, std::as_writable_bytes(std::span(piece))); });
        EXPECT_EQ(error.code, ErrorCode::invalid_argument);
        EXPECT_TRUE(contains(error.text, "tensor \"w\" has 6 bytes")) << error.text;
    }
    const test::Caught error = caught([&] { reader.read("w", std::as_writable_bytes(std::span(piece))); });
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_TRUE(contains(error.text, "tensor \"w\" has 6 bytes, the destination has 3")) << error.text;
}

TEST(SafetensorsReader, NamesTheMissingTensorAndTheFile) {
    const std::string file = file_of("{}");
    const SafetensorsReader reader(bytes_of_text(file), "model.safetensors");
    EXPECT_EQ(reader.find("fc1.weight"), nullptr);
    const test::Caught error = caught([&] { static_cast<void>(reader.tensor("fc1.weight")); });
    EXPECT_EQ(error.code, ErrorCode::corrupt_file);
    EXPECT_TRUE(contains(error.text, "\"model.safetensors\": has no tensor \"fc1.weight\"")) << error.text;
}

TEST(SafetensorsReader, RefusesWhatIsNoRegularFile) {
    TemporaryDirectory directory;
    const std::filesystem::path pipe = directory / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    for (const std::filesystem::path& path :
         {directory.path(), pipe, directory / "missing", directory / ""}) {
        const test::Caught error = caught([&] { SafetensorsReader reader(path); });
        EXPECT_EQ(error.code, ErrorCode::io) << path;
        EXPECT_TRUE(contains(error.text, path.string())) << error.text;
    }
}

TEST(SafetensorsReader, FileReplacedWhileOpenReadsAsItWas) {
    TemporaryDirectory directory;
    const std::filesystem::path path = directory / "state.safetensors";
    const FileTensorSource first = FileTensorSource::scalar_u64("step", 1);
    const FileTensorSource second = FileTensorSource::scalar_u64("step", 2);
    write_safetensors(path, {&first, 1});
    const SafetensorsReader reader(path);
    write_safetensors(path, {&second, 1});
    EXPECT_EQ(reader.read_scalar_u64("step"), 1u);
    EXPECT_EQ(SafetensorsReader(path).read_scalar_u64("step"), 2u);
}

TEST(SafetensorsReader, FileTruncatedWhileOpenIsAnError) {
    TemporaryDirectory directory;
    const std::filesystem::path path = directory / "state.safetensors";
    const FileTensorSource source = FileTensorSource::scalar_u64("step", 1);
    write_safetensors(path, {&source, 1});
    const SafetensorsReader reader(path);
    std::filesystem::resize_file(path, 4);
    const test::Caught error = caught([&] { static_cast<void>(reader.read_scalar_u64("step")); });
    EXPECT_EQ(error.code, ErrorCode::io);
    EXPECT_TRUE(contains(error.text, path.string())) << error.text;
}

TEST(SafetensorsReader, ManyThreadsReadOneReader) {
    std::vector<FileTensorSource> sources;
    for (std::uint64_t i = 0; i < 64; ++i)
        sources.push_back(FileTensorSource::scalar_u64("t" + std::to_string(i), i * i));
    TemporaryDirectory directory;
    write_safetensors(directory / "many.safetensors", sources);
    const SafetensorsReader reader(directory / "many.safetensors");
    std::atomic<int> wrong = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (std::uint64_t i = 0; i < 2000; ++i) {
                const std::uint64_t k = i % 64;
                if (reader.read_scalar_u64("t" + std::to_string(k)) != k * k) ++wrong;
            }
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
}

// --- writing

TEST(SafetensorsWriter, BytesAreThoseOfTheFormat) {
    const std::vector<FileTensorSource> sources = {small_tensor("b", FileDType::u8, {3}),
                                                   FileTensorSource::scalar_f64("z", 1.0),
                                                   small_tensor("a", FileDType::f16, {1})};
    EXPECT_EQ(streamed(sources, {{"k", "v"}}),
              file_of(R"({"__metadata__":{"k":"v"},"z":{"dtype":"F64","shape":[],"data_offsets":[0,8]},)"
                      R"("a":{"dtype":"F16","shape":[1],"data_offsets":[8,10]},)"
                      R"("b":{"dtype":"U8","shape":[3],"data_offsets":[10,13]}}      )",
                      std::string("\0\0\0\0\0\0\xF0\x3F\0\0\0\0\0", 13)));
}

TEST(SafetensorsWriter, OrderOfTheArgumentsDoesNotMatter) {
    std::vector<FileTensorSource> sources;
    for (FileDType dtype : kAllDTypes)
        for (const char* layer : {"fc2.", "fc1.", "conv.10.", "conv.9."})
            sources.push_back(small_tensor(std::string(layer) + to_string(dtype), dtype, {1}));
    const std::string expected = streamed(sources);
    std::mt19937 random(7);
    for (int round = 0; round < 20; ++round) {
        std::shuffle(sources.begin(), sources.end(), random);
        ASSERT_EQ(streamed(sources), expected);
    }
    // Data begin at a multiple of 8.
    EXPECT_EQ(static_cast<unsigned char>(expected[0]) % 8, 0);
}

TEST(SafetensorsWriter, LargeTensorsAreAskedForInWholeChunks) {
    std::vector<std::pair<std::uint64_t, std::size_t>> asked;
    const auto fill = [&](std::uint64_t offset, std::span<std::byte> chunk) {
        asked.emplace_back(offset, chunk.size());
        for (std::size_t i = 0; i < chunk.size(); ++i) chunk[i] = static_cast<std::byte>((offset + i) * 7);
    };
    const std::vector<FileTensorSource> sources = {
        small_tensor("a"), {"b", FileDType::u8, {40}, fill}, small_tensor("c")};
    const std::string file = streamed(sources, {}, {.chunk_bytes = 16});
    EXPECT_EQ(asked, (std::vector<std::pair<std::uint64_t, std::size_t>>{{0, 16}, {16, 16}, {32, 8}}));
    const SafetensorsReader reader(bytes_of_text(file), "chunks");
    const std::vector<double> values = reader.read_as_double("b");
    for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(values[i], static_cast<double>(i * 7 % 256));
    EXPECT_EQ(file, streamed(sources));  // the chunks leave no trace
}

TEST(SafetensorsWriter, RefusesWhatNoReaderWouldTake) {
    struct Case {
        std::vector<FileTensorSource> sources;
        std::map<std::string, std::string> metadata;
        SafetensorsWriteOptions options;
        const char* culprit;
    };
    const FillChunk fill = [](std::uint64_t, std::span<std::byte>) {
        FAIL() << "asked for data of a refused file";
    };
    const std::uint64_t half = std::uint64_t{1} << 62;
    const Case cases[] = {
        {{small_tensor("w"), small_tensor("w")}, {}, {}, "tensor \"w\" is there twice"},
        {{small_tensor("__metadata__")}, {}, {}, "tensor \"__metadata__\": this name means metadata"},
        {{small_tensor("\xFF")}, {}, {}, "its name is not UTF-8"},
        {{small_tensor("\xED\xA0\x80")}, {}, {}, "its name is not UTF-8"},
        {{small_tensor("\xC0\xAF")}, {}, {}, "its name is not UTF-8"},
        {{small_tensor("\xE2\x82")}, {}, {}, "its name is not UTF-8"},
        {{small_tensor("\xF4\x90\x80\x80")}, {}, {}, "its name is not UTF-8"},
        {{}, {{"key", "\x80"}}, {}, "metadata entry \"key\" is not UTF-8"},
        {{}, {{"\x80", ""}}, {}, "is not UTF-8"},
        {{{"w", FileDType::f32, {half, half}, fill}}, {}, {}, "tensor \"w\": shape"},
        {{{"w", FileDType::f32, {half}, fill}}, {}, {}, "overflows 64 bits"},
        {{{"a", FileDType::u8, {half}, fill}, {"b", FileDType::u8, {half}, fill}},
         {},
         {},
         "tensor \"b\" ends beyond"},
        {{{"w", FileDType::f32, {2}, nullptr}}, {}, {}, "tensor \"w\" has 8 bytes and no fill"},
        {{small_tensor("w", FileDType::u8, std::vector<std::uint64_t>(33, 1))},
         {},
         {},
         "tensor \"w\" has 33 extents"},
        {{small_tensor("w")}, {}, {.chunk_bytes = 0}, "chunk_bytes is 0"},
        {{small_tensor("w")}, {}, {.chunk_bytes = 12}, "chunk_bytes is 12"},
        {{}, {{"long", std::string(100'000'000, 'x')}}, {}, "split the file"},
    };
    TemporaryDirectory directory;
    for (const Case& c : cases) {
        const test::Caught error =
            caught([&] { write_safetensors(directory / "refused", c.sources, c.metadata, c.options); });
        EXPECT_EQ(error.code, ErrorCode::invalid_argument) << error.text;
        EXPECT_TRUE(contains(error.text, c.culprit)) << c.culprit << "\n" << error.text.substr(0, 300);
    }
    EXPECT_EQ(directory.entry_count(), 0u);

    const test::Caught error = caught([] { FileTensorSource::borrow("w", {2, 2}, std::vector<float>(3)); });
    EXPECT_EQ(error.code, ErrorCode::invalid_argument);
    EXPECT_TRUE(contains(error.text, "tensor \"w\": 12 bytes were passed, but shape [2, 2] of F32 needs 16"))
        << error.text;
}

TEST(SafetensorsWriter, EmptyTensorNeedsNoFill) {
    const FileTensorSource source{"none", FileDType::f32, {0, 3}, nullptr};
    const std::string file = streamed({&source, 1});
    EXPECT_EQ(SafetensorsReader(bytes_of_text(file), "empty").read_f32("none"), std::vector<float>{});
}

TEST(SafetensorsWriter, FailingFillLeavesTheOldFileAlone) {
    TemporaryDirectory directory;
    const std::filesystem::path path = directory / "state.safetensors";
    const FileTensorSource good = FileTensorSource::scalar_u64("step", 1);
    write_safetensors(path, {&good, 1});
    const std::string before = test::content_of(path);
    const FileTensorSource bad{"w", FileDType::u8, {1000}, [](std::uint64_t offset, std::span<std::byte>) {
                                   if (offset >= 512) throw std::runtime_error("device lost");
                               }};
    EXPECT_THROW(write_safetensors(path, {&bad, 1}, {}, {.chunk_bytes = 256}), std::runtime_error);
    EXPECT_EQ(test::content_of(path), before);
    EXPECT_EQ(directory.entry_count(), 1u);
}

TEST(SafetensorsWriter, PathsThatCannotBeWrittenAreErrors) {
    TemporaryDirectory directory;
    const FileTensorSource source = FileTensorSource::scalar_u64("step", 1);
    std::filesystem::create_directory(directory / "folder");
    test::put_content(directory / "plain", "x");
    std::filesystem::create_symlink(directory / "nowhere", directory / "dangling");
    for (const std::filesystem::path& path :
         {directory / "missing/state", directory / "folder", directory / "folder/", directory / "plain/state",
          directory / "dangling", directory / std::string(300, 'n'), std::filesystem::path()}) {
        const test::Caught error = caught([&] { write_safetensors(path, {&source, 1}); });
        EXPECT_EQ(error.code, ErrorCode::io) << error.text;
        EXPECT_TRUE(contains(error.text, path.string().substr(0, 100))) << error.text;
    }
    EXPECT_EQ(directory.entry_count(), 3u);
}

TEST(SafetensorsWriter, DevicesAndPipesAreNotReplaced) {
    TemporaryDirectory directory;
    const std::filesystem::path pipe = directory / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const FileTensorSource source = FileTensorSource::scalar_u64("step", 1);
    const test::Caught error = caught([&] { write_safetensors(pipe, {&source, 1}); });
    EXPECT_EQ(error.code, ErrorCode::io);
    EXPECT_TRUE(contains(error.text, "no regular file")) << error.text;
    EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST(SafetensorsWriter, SymbolicLinkIsFollowed) {
    TemporaryDirectory directory;
    const FileTensorSource source = FileTensorSource::scalar_u64("step", 1);
    test::put_content(directory / "target", "old");
    std::filesystem::create_symlink("target", directory / "latest");
    write_safetensors(directory / "latest", {&source, 1});
    EXPECT_TRUE(std::filesystem::is_symlink(directory / "latest"));
    EXPECT_EQ(SafetensorsReader(directory / "target").read_scalar_u64("step"), 1u);
}

TEST(SafetensorsWriter, ReplacedFileKeepsItsPermissions) {
    TemporaryDirectory directory;
    const std::filesystem::path path = directory / "private";
    const FileTensorSource source = FileTensorSource::scalar_u64("step", 1);
    test::put_content(path, "old");
    const auto only_owner = std::filesystem::perms::owner_read | std::filesystem::perms::owner_write;
    std::filesystem::permissions(path, only_owner);
    write_safetensors(path, {&source, 1});
    EXPECT_EQ(std::filesystem::status(path).permissions(), only_owner);
}

TEST(SafetensorsWriter, RacingWritersLeaveOneCompleteFile) {
    TemporaryDirectory directory;
    const std::filesystem::path path = directory / "shared.safetensors";
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            const std::vector<double> values(5000, static_cast<double>(t));
            const FileTensorSource source =
                FileTensorSource::borrow("v", FileDType::f64, {5000}, std::as_bytes(std::span(values)));
            for (int round = 0; round < 10; ++round)
                write_safetensors(path, {&source, 1}, {}, {.sync = false});
        });
    for (std::thread& thread : threads) thread.join();
    const std::vector<double> values = SafetensorsReader(path).read_as_double("v");
    EXPECT_TRUE(std::all_of(values.begin(), values.end(), [&](double value) { return value == values[0]; }));
    EXPECT_EQ(directory.entry_count(), 1u);
}

}  // namespace
}  // namespace heron
