// SPDX-License-Identifier: MIT
// Files that lie: each must be refused as corrupt_file, with a text that names the file and the culprit.
#include <ostream>

#include "state/handmade_file.hpp"

namespace heron {
namespace {

using test::bytes_of_text;
using test::file_of;
using test::file_with_length;

struct HostileFile {
    const char* name;
    std::string content;
    const char* culprit;  // part of the message
};

void PrintTo(const HostileFile& file, std::ostream* out) { *out << file.name; }

std::string nested_arrays(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

std::string repeated(std::string_view text, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i) out += text;
    return out;
}

// A file whose one tensor "w" states these fields, over four bytes of data.
std::string one(std::string_view fields) { return file_of("{\"w\":{" + std::string(fields) + "}}", "abcd"); }

const std::string kGood = R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";

std::vector<HostileFile> hostile_files() {
    const std::string huge = "18446744073709551615";
    return {
        // The length in front.
        {"Empty", "", "0 bytes"},
        {"SevenBytes", std::string(7, '\0'), "7 bytes"},
        {"LengthWithoutHeader", file_with_length(2, "", ""), "claims 2 bytes, but only 0"},
        {"LengthOneTooLong", file_with_length(kGood.size() + 3, "{" + kGood + "}", ""), "follow"},
        {"LengthHuge", file_with_length(~std::uint64_t{0}, "{" + kGood + "}", "abcd"),
         "claims 18446744073709551615"},
        {"LengthSignBit", file_with_length(std::uint64_t{1} << 63, "{}", ""), "claims 9223372036854775808"},
        {"LengthCutsHeader", file_with_length(kGood.size(), "{" + kGood + "}", "abcd"), "not valid JSON"},
        {"LengthZero", file_with_length(0, "", "abcd"), "does not begin with '{'"},

        // JSON as such.
        {"NotJson", file_of("hello world"), "does not begin with '{'"},
        {"ByteOrderMark", file_of("\xEF\xBB\xBF{}"), "does not begin with '{'"},
        {"LeadingSpace", file_of(" {}"), "does not begin with '{'"},
        {"TopLevelArray", file_of("[]"), "does not begin with '{'"},
        {"TopLevelString", file_of("\"{}\""), "does not begin with '{'"},
        {"Unclosed", file_of("{" + kGood, "abcd"), "not valid JSON"},
        {"TwoDocuments", file_of("{}{}"), "not valid JSON"},
        {"TextAfterDocument", file_of("{}  x"), "not valid JSON"},
        {"ZeroByteAfterDocument", file_of(std::string("{}\0\0\0garbage", 12)), "zero byte at its byte 2"},
        {"ZeroByteInName", file_of(std::string("{\"a\0b\":{}}", 10)), "zero byte at its byte 3"},
        {"TrailingComma", file_of("{" + kGood + ",}", "abcd"), "not valid JSON"},
        {"Comment", file_of("{/* */" + kGood + "}", "abcd"), "not valid JSON"},
        {"SingleQuotes", file_of("{'w':{}}"), "not valid JSON"},
        {"BareKey", file_of("{w:{}}"), "not valid JSON"},
        {"NanLiteral", one(R"("dtype":"F32","shape":[NaN],"data_offsets":[0,4])"), "not valid JSON"},
        {"LeadingZero", one(R"("dtype":"F32","shape":[01],"data_offsets":[0,4])"), "not valid JSON"},
        {"PlusSign", one(R"("dtype":"F32","shape":[+1],"data_offsets":[0,4])"), "not valid JSON"},
        {"HexNumber", one(R"("dtype":"F32","shape":[0x1],"data_offsets":[0,4])"), "not valid JSON"},
        {"InvalidUtf8Name", file_of("{\"\xC3\x28\":{}}"), "not valid JSON"},
        {"OverlongUtf8Name", file_of("{\"\xC0\xAF\":{}}"), "not valid JSON"},
        {"LoneSurrogateName", file_of("{\"\\ud800\":{}}"), "not valid JSON"},
        {"RawNewlineInName", file_of("{\"a\nb\":{}}"), "not valid JSON"},
        {"DeepArrays", file_of("{\"w\":" + nested_arrays(100'000) + "}"), "tensor \"w\" is an array"},
        {"DeepArraysInShape", one("\"shape\":" + nested_arrays(100'000)),
         "tensor \"w\": shape holds an array"},
        {"DeepObjects", file_of(repeated("{\"a\":", 100'000) + "1" + repeated("}", 100'000)), "tensor \"a\""},

        // The objects inside.
        {"TensorIsNull", file_of(R"({"w":null})"), "tensor \"w\" is null"},
        {"TensorIsNumber", file_of(R"({"w":1})"), "tensor \"w\" is the number 1"},
        {"TensorIsString", file_of(R"({"w":"F32"})"), "tensor \"w\" is a string"},
        {"TensorIsArray", file_of(R"({"w":[]})"), "tensor \"w\" is an array"},
        {"TensorIsEmptyObject", file_of(R"({"w":{}})"), "tensor \"w\" has no field \"dtype\""},
        {"DTypeMissing", one(R"("shape":[1],"data_offsets":[0,4])"), "tensor \"w\" has no field \"dtype\""},
        {"ShapeMissing", one(R"("dtype":"F32","data_offsets":[0,4])"), "tensor \"w\" has no field \"shape\""},
        {"OffsetsMissing", one(R"("dtype":"F32","shape":[1])"), "tensor \"w\" has no field \"data_offsets\""},
        {"UnknownField", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"stride":[1])"),
         "unknown field \"stride\""},
        {"DTypeTwice", one(R"("dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4])"),
         "field \"dtype\" twice"},
        {"ShapeTwice", one(R"("dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4])"),
         "field \"shape\" twice"},
        {"OffsetsTwice", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4])"),
         "field \"data_offsets\" twice"},
        {"EscapedFieldTwice", one(R"("dtype":"F32","\u0064type":"F32","shape":[1],"data_offsets":[0,4])"),
         "field \"dtype\" twice"},
        {"TensorTwice", file_of("{" + kGood + "," + kGood + "}", "abcd"), "tensor \"w\" is there twice"},
        {"TensorTwiceApart",
         file_of("{" + kGood + R"(,"a":{"dtype":"U8","shape":[0],"data_offsets":[4,4]},)" + kGood + "}",
                 "abcd"),
         "tensor \"w\" is there twice"},
        {"EscapedTensorTwice",
         file_of("{" + kGood + R"(,"\u0077":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "abcd"),
         "tensor \"w\" is there twice"},

        // dtype.
        {"DTypeUnknown", one(R"("dtype":"F128","shape":[1],"data_offsets":[0,4])"), "dtype is \"F128\""},
        {"DTypeLowerCase", one(R"("dtype":"f32","shape":[1],"data_offsets":[0,4])"), "dtype is \"f32\""},
        {"DTypeEmpty", one(R"("dtype":"","shape":[1],"data_offsets":[0,4])"), "dtype is \"\""},
        {"DTypeWithZero", one(R"("dtype":"F32\u0000","shape":[1],"data_offsets":[0,4])"),
         "dtype is \"F32\\x00\""},
        {"DTypeNumber", one(R"("dtype":32,"shape":[1],"data_offsets":[0,4])"), "dtype is the number 32"},
        {"DTypeNull", one(R"("dtype":null,"shape":[1],"data_offsets":[0,4])"), "dtype is null"},
        {"DTypeFloat8", one(R"("dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4])"), "dtype is \"F8_E4M3\""},

        // shape.
        {"ShapeIsNumber", one(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), "shape is the number 1"},
        {"ShapeIsString", one(R"("dtype":"F32","shape":"1","data_offsets":[0,4])"), "shape is a string"},
        {"ShapeIsObject", one(R"("dtype":"F32","shape":{},"data_offsets":[0,4])"), "shape is an object"},
        {"ExtentNegative", one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"),
         "shape holds a negative"},
        {"ExtentMinusZero", one(R"("dtype":"F32","shape":[-0],"data_offsets":[0,0])"),
         "shape holds a negative"},
        {"ExtentFloat", one(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"),
         "shape holds the number 1.0"},
        {"ExtentExponent", one(R"("dtype":"F32","shape":[1e0],"data_offsets":[0,4])"),
         "shape holds the number 1e0"},
        {"ExtentTwoTo64", one(R"("dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4])"),
         "shape holds the number 18446744073709551616"},
        {"ExtentThousandDigits", one("\"dtype\":\"F32\",\"shape\":[" + std::string(1000, '9') + "]"),
         "number overflow"},
        {"ExtentTrue", one(R"("dtype":"F32","shape":[true],"data_offsets":[0,4])"), "shape holds a boolean"},
        {"ExtentString", one(R"("dtype":"F32","shape":["1"],"data_offsets":[0,4])"), "shape holds a string"},
        {"ExtentNull", one(R"("dtype":"F32","shape":[null],"data_offsets":[0,4])"), "shape holds null"},
        {"ExtentArray", one(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])"), "shape holds an array"},
        {"CountOverflows", one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])"),
         "tensor \"w\": shape [4294967296, 4294967296] of F32 overflows"},
        {"CountOverflowsToOne",
         one("\"dtype\":\"U8\",\"shape\":[" + huge + "," + huge + "],\"data_offsets\":[0,1]"), "overflows"},
        {"BytesOverflow", one(R"("dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4])"),
         "overflows"},
        {"ZeroHidesOverflow",
         file_of(R"({"w":{"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}})"),
         "overflows"},
        {"RankTooHigh",
         one("\"dtype\":\"U8\",\"shape\":[" + repeated("1,", 32) + "1],\"data_offsets\":[0,4]"),
         "more than 32 extents"},

        // data_offsets.
        {"OffsetsIsNumber", one(R"("dtype":"F32","shape":[1],"data_offsets":0)"),
         "data_offsets is the number 0"},
        {"OffsetsEmpty", one(R"("dtype":"F32","shape":[1],"data_offsets":[])"),
         "has 0 numbers instead of two"},
        {"OffsetsOne", one(R"("dtype":"F32","shape":[1],"data_offsets":[4])"),
         "has 1 numbers instead of two"},
        {"OffsetsThree", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), "more than two numbers"},
        {"OffsetNegative", one(R"("dtype":"F32","shape":[1],"data_offsets":[-4,0])"),
         "data_offsets holds a negative"},
        {"OffsetFloat", one(R"("dtype":"F32","shape":[1],"data_offsets":[0,4.0])"),
         "data_offsets holds the number"},
        {"OffsetsSwapped", one(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), "end before they begin"},
        {"OffsetsTooLong", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"),
         "outside the file's 4 bytes"},
        {"OffsetsFarAway",
         one("\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[18446744073709551611," + huge + "]"),
         "outside the file's 4 bytes"},
        {"OffsetsShorterThanShape", one(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"),
         "hold 4 bytes, but shape [2] of F32 needs 8"},
        {"OffsetsLongerThanShape", one(R"("dtype":"F16","shape":[1],"data_offsets":[0,4])"), "needs 2"},
        {"ScalarWithoutBytes", file_of(R"({"w":{"dtype":"F32","shape":[],"data_offsets":[0,0]}})"),
         "needs 4"},
        {"EmptyWithBytes", one(R"("dtype":"F32","shape":[0],"data_offsets":[0,4])"), "needs 0"},

        // How tensors share the data.
        {"TrailingBytes", file_of("{" + kGood + "}", "abcde"),
         "1 bytes at the end of the file belong to no tensor"},
        {"DataWithoutTensors", file_of("{}", "abcd"), "4 bytes at the end of the file"},
        {"HoleAtStart", file_of(R"({"w":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", "abcd"),
         "2 data bytes before tensor \"w\""},
        {"HoleBetween",
         file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                 R"("b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
                 "abcd"),
         "2 data bytes before tensor \"b\""},
        {"Overlap",
         file_of(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                 R"("b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})",
                 "abcd"),
         "tensor \"b\" begins at data byte 2, inside tensor \"a\""},
        {"SameBytesTwice",
         file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                 R"("b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                 "abcd"),
         "inside tensor \"a\""},
        {"EmptyTensorInsideAnother",
         file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                 R"("b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
                 "abcd"),
         "tensor \"b\" begins at data byte 2, inside tensor \"a\""},
        {"Truncated", file_of("{" + kGood + "}", "abc"), "tensor \"w\": data_offsets [0, 4] lie outside"},

        // Metadata.
        {"MetadataIsNull", file_of(R"({"__metadata__":null})"), "\"__metadata__\" is null"},
        {"MetadataIsString", file_of(R"({"__metadata__":"x"})"), "\"__metadata__\" is a string"},
        {"MetadataIsArray", file_of(R"({"__metadata__":["x"]})"), "\"__metadata__\" is an array"},
        {"MetadataNumber", file_of(R"({"__metadata__":{"step":1}})"), "entry \"step\" is the number 1"},
        {"MetadataNull", file_of(R"({"__metadata__":{"step":null}})"), "entry \"step\" is null"},
        {"MetadataObject", file_of(R"({"__metadata__":{"step":{}}})"), "entry \"step\" is an object"},
        {"MetadataArray", file_of(R"({"__metadata__":{"step":["1"]}})"), "entry \"step\" is an array"},
        {"MetadataTwice", file_of(R"({"__metadata__":{},"__metadata__":{}})"), "\"__metadata__\" twice"},
        {"MetadataKeyTwice", file_of(R"({"__metadata__":{"a":"1","a":"2"}})"), "the key \"a\" twice"},

        // Names made to confuse a terminal or a log.
        {"EscapeSequenceInName", file_of(R"({"\u001b[2J":1})"), "tensor \"\\x1b[2J\" is the number 1"},
        {"LongName", file_of("{\"" + std::string(100'000, 'n') + "\":1}"), "nnn...\" is the number 1"},
    };
}

class Hostile : public testing::TestWithParam<HostileFile> {};

TEST_P(Hostile, IsRefusedFromMemoryWithItsCulprit) {
    const test::Caught error =
        test::caught([] { SafetensorsReader(bytes_of_text(GetParam().content), "hostile.safetensors"); });
    EXPECT_EQ(error.code, ErrorCode::corrupt_file) << error.text;
    EXPECT_TRUE(test::contains(error.text, "\"hostile.safetensors\": ")) << error.text;
    EXPECT_TRUE(test::contains(error.text, GetParam().culprit)) << error.text;
    EXPECT_TRUE(test::contains(error.text, "take another copy")) << error.text;
    EXPECT_LT(error.text.size(), 700u) << error.text;
}

TEST_P(Hostile, IsRefusedFromDiskAlike) {
    test::TemporaryDirectory directory;
    const std::filesystem::path path = directory / "hostile.safetensors";
    test::put_content(path, GetParam().content);
    const test::Caught error = test::caught([&] { SafetensorsReader reader(path); });
    EXPECT_EQ(error.code, ErrorCode::corrupt_file) << error.text;
    EXPECT_TRUE(test::contains(error.text, path.string())) << error.text;
    EXPECT_TRUE(test::contains(error.text, GetParam().culprit)) << error.text;
}

INSTANTIATE_TEST_SUITE_P(Files, Hostile, testing::ValuesIn(hostile_files()),
                         [](const auto& hostile) { return std::string(hostile.param.name); });

// The negative control: what the files above are variations of is accepted.
TEST(Safetensors, AcceptsTheUndamagedFile) {
    const std::string content = file_of("{" + kGood + "}   ", "abcd");
    const SafetensorsReader reader(bytes_of_text(content), "good.safetensors");
    ASSERT_EQ(reader.tensors().size(), 1u);
    EXPECT_EQ(reader.tensors()[0].name, "w");
    EXPECT_EQ(reader.tensors()[0].offset, 8 + kGood.size() + 5);
}

TEST(Safetensors, HeaderLimitIsCheckedBeforeTheHeaderIsRead) {
    const std::string content = file_of("{" + kGood + "}", "abcd");
    const test::Caught error = test::caught(
        [&] { SafetensorsReader(bytes_of_text(content), "good.safetensors", {.header_bytes = 16}); });
    EXPECT_EQ(error.code, ErrorCode::corrupt_file);
    EXPECT_TRUE(test::contains(error.text, "the limit is 16; raise SafetensorsLimits::header_bytes"))
        << error.text;
}

}  // namespace
}  // namespace heron
