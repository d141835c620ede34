// SPDX-License-Identifier: MIT
// The neural texture against a plain float64 forward pass: its loss and its picture, and its gradients by
// finite differences of that; the gradient of the grid also in sizes that those would take too long for.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "neural_texture/texture.hpp"
#include "support/device_fixture.hpp"

namespace heron::test {
namespace {

using samples::GridLevel;
using Values = std::vector<double>;
using Weights = std::map<std::string, Values>;

constexpr std::size_t kFeatures = 4;
constexpr std::size_t kColours = 3;
constexpr std::uint32_t kSeed = 7;

// An odd image, and strata of unequal size.
const samples::TextureShape kShape{
    .width = 13, .height = 9, .levels = 3, .coarsest = 2, .finest = 6, .hidden = {6, 5}};
constexpr std::uint32_t kSamples = 20;

struct Pixel {
    std::uint32_t x, y;
};

// The pixels of a batch, as shaders/texture_sample.glsl has them.
std::vector<Pixel> pixels_of(const samples::Texture& texture, const samples::TexturePasses& passes,
                             std::uint32_t batch_number) {
    const auto mix = [](std::uint32_t x) {
        x = (x ^ (x >> 16)) * 0x7feb352du;
        x = (x ^ (x >> 15)) * 0x846ca68bu;
        return x ^ (x >> 16);
    };
    // Strata are 2^-16 of a pixel long, rounded up; the last one ends with the image.
    const auto within = [](std::uint32_t stratum, std::uint32_t strata, std::uint32_t extent,
                           std::uint32_t random) {
        const std::uint32_t step = ((extent << 16) + strata - 1) / strata;
        const std::uint32_t low = stratum * step >> 16, high = (stratum + 1) * step >> 16;
        return low + ((high - low) * random >> 16);
    };
    std::vector<Pixel> pixels;
    for (std::uint32_t i = 0; i < passes.batch; ++i) {
        const std::uint32_t random = mix(kSeed + mix(batch_number + 0x9e3779b9u * (i + 1)));
        const std::uint32_t col = i % passes.strata_cols, row = i / passes.strata_cols;
        pixels.push_back({within(col, passes.strata_cols, texture.shape.width, random & 0xffff),
                          within(row, passes.strata_rows, texture.shape.height, random >> 16)});
    }
    return pixels;
}

struct Corner {
    std::size_t vertex;
    double weight;
};

// The corners around a pixel's centre on a level, in a picture of that size.
std::vector<Corner> corners(const GridLevel& level, Pixel pixel, double width, double height) {
    const double x = (pixel.x + 0.5) * level.cols / width, y = (pixel.y + 0.5) * level.rows / height;
    const auto col = static_cast<std::size_t>(x), row = static_cast<std::size_t>(y);
    std::vector<Corner> result;
    for (const std::size_t down : {0, 1})
        for (const std::size_t across : {0, 1})
            result.push_back(
                {(row + down) * (level.cols + 1) + col + across,
                 (1 - std::abs(x - double(col + across))) * (1 - std::abs(y - double(row + down)))});
    return result;
}

// What the network says at a pixel's centre.
Values colours(const samples::Texture& texture, const Weights& w, Pixel pixel, double width, double height) {
    Values x;
    for (std::size_t l = 0; l < texture.levels.size(); ++l) {
        const Values& grid = w.at("grid." + std::to_string(l + 1));
        for (std::size_t f = 0; f < kFeatures; ++f) {
            double sum = 0;
            for (const Corner& corner : corners(texture.levels[l], pixel, width, height))
                sum += corner.weight * grid[corner.vertex * kFeatures + f];
            x.push_back(sum);
        }
    }
    for (const samples::Layer& layer : texture.network.layers) {
        const Values& weight = w.at(layer.name + ".weight");
        Values y = w.at(layer.name + ".bias");
        for (std::size_t o = 0; o < y.size(); ++o) {
            for (std::size_t i = 0; i < x.size(); ++i) y[o] += weight[o * x.size() + i] * x[i];
            if (&layer != &texture.network.layers.back()) y[o] = std::max(y[o], 0.0);
        }
        x = std::move(y);
    }
    for (double& colour : x) colour += 0.5;
    return x;
}

// Mean over samples and colours of the squared error.
double loss(const samples::Texture& texture, const Weights& w, const std::vector<std::uint32_t>& image,
            const std::vector<Pixel>& pixels) {
    double sum = 0;
    for (const Pixel pixel : pixels) {
        const Values said = colours(texture, w, pixel, texture.shape.width, texture.shape.height);
        const std::uint32_t wanted = image[pixel.y * texture.shape.width + pixel.x];
        for (std::size_t c = 0; c < kColours; ++c) {
            const double difference = said[c] - (wanted >> (8 * c) & 0xff) / 255.0;
            sum += difference * difference / kColours;
        }
    }
    return sum / double(pixels.size());
}

double norm(const Values& values) {
    return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

std::vector<std::uint32_t> random_image(const samples::TextureShape& shape) {
    std::mt19937 random(3);
    std::vector<std::uint32_t> image(std::size_t{shape.width} * shape.height);
    for (std::uint32_t& pixel : image) pixel = static_cast<std::uint32_t>(random()) | 0xff000000u;
    return image;
}

class NeuralTexture : public DeviceTest {
protected:
    // Features and biases that no symmetry helps; the usual first ones are small or zero.
    static void randomize(samples::Texture& texture) {
        std::mt19937 random(5);
        std::uniform_real_distribution<float> uniform(-0.8f, 0.8f);
        const auto fill = [&](Buffer& buffer) {
            std::vector<float> values(buffer.bytes() / sizeof(float));
            for (float& value : values) value = uniform(random);
            buffer.write(std::as_bytes(std::span(values)));
        };
        fill(texture.grid);
        for (samples::Layer& layer : texture.network.layers) {
            fill(layer.weight);
            fill(layer.bias);
        }
    }

    static Values values_of(const Buffer& buffer, const TensorView& view) {
        std::vector<float> values(view.shape.count());
        buffer.read(std::as_writable_bytes(std::span(values)), view.address - buffer.address());
        return Values(values.begin(), values.end());
    }

    // Of the grid and of the layers, weights or their gradients.
    static Weights all(const samples::Texture& texture, bool gradients) {
        Weights result;
        const Buffer& grid = gradients ? texture.grid_gradient : texture.grid;
        for (std::size_t l = 0; l < texture.levels.size(); ++l)
            result["grid." + std::to_string(l + 1)] = values_of(grid, texture.level_view(grid, l));
        for (const samples::Layer& layer : texture.network.layers) {
            const Buffer& weight = gradients ? layer.weight_gradient : layer.weight;
            const Buffer& bias = gradients ? layer.bias_gradient : layer.bias;
            result[layer.name + ".weight"] = values_of(weight, layer.view(weight));
            result[layer.name + ".bias"] = values_of(bias, layer.view(bias));
        }
        return result;
    }
};

HERON_DEVICE_TESTS(NeuralTexture);

TEST_P(NeuralTexture, GradientsMatchFiniteDifferencesInFloat64) {
    samples::Texture texture(device(), kShape);
    randomize(texture);
    const std::vector<std::uint32_t> image = random_image(kShape);
    const Buffer pixels = samples::device_pixels(device(), image);
    const samples::TexturePasses passes(device(), texture, kSamples);
    Plan plan = samples::texture_training_plan(device(), texture, passes, pixels, kSeed, {});
    plan.allocate();
    plan.run();  // another batch than the first one: the samples depend on its number
    plan.run();
    EXPECT_TRUE(plan.hazards().empty());

    const std::vector<Pixel> batch = pixels_of(texture, passes, 1);
    Weights weights = all(texture, false);
    const Weights gradients = all(texture, true);
    const double expected_loss = loss(texture, weights, image, batch);
    // Ten operations or so lie one behind the other, each a rounding of its own.
    EXPECT_NEAR(passes.loss(1), expected_loss, 16 * 0x1p-24 * expected_loss);

    for (auto& entry : weights) {
        const std::string& name = entry.first;
        Values& values = entry.second;
        Values expected(values.size()), error(values.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            // A central difference of fourth order; short, because ReLU has a corner.
            constexpr double kStep = 1e-5;
            const double before = values[i];
            const auto at = [&](double steps) {
                values[i] = before + steps * kStep;
                return loss(texture, weights, image, batch);
            };
            expected[i] = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * kStep);
            values[i] = before;
            error[i] = gradients.at(name)[i] - expected[i];
        }
        ASSERT_GT(norm(expected), 1e-4) << name;
        EXPECT_LE(norm(error) / norm(expected), 32 * 0x1p-24) << name;
    }
}

// The transposed lookup, where a vertex has all samples, and where it has none.
TEST_P(NeuralTexture, GridGradientIsTheTransposedLookupInAllSizes) {
    struct Case {
        std::uint32_t width, height, samples, coarsest, finest;
    };
    for (const Case& c : {Case{1, 1, 1, 1, 1}, Case{64, 48, 3072, 1, 24}, Case{40, 40, 5, 3, 40},
                          Case{300, 7, 500, 2, 97}, Case{7, 301, 65, 1, 300}}) {
        const samples::TextureShape shape{.width = c.width,
                                          .height = c.height,
                                          .levels = 4,
                                          .coarsest = c.coarsest,
                                          .finest = c.finest,
                                          .hidden = {9}};
        samples::Texture texture(device(), shape);
        randomize(texture);
        const Buffer pixels = samples::device_pixels(device(), random_image(shape));
        const samples::TexturePasses passes(device(), texture, c.samples);
        ASSERT_LE(passes.batch, c.width * c.height);
        Plan plan = samples::texture_training_plan(device(), texture, passes, pixels, kSeed, {});
        plan.allocate();
        plan.run();
        const std::vector<Pixel> batch = pixels_of(texture, passes, 0);
        const auto input_gradient = download<float>(passes.input_gradient);
        for (std::size_t l = 0; l < texture.levels.size(); ++l) {
            const Values actual =
                values_of(texture.grid_gradient, texture.level_view(texture.grid_gradient, l));
            Values expected(actual.size()), sizes(actual.size());
            for (std::size_t i = 0; i < batch.size(); ++i)
                for (const Corner& corner : corners(texture.levels[l], batch[i], c.width, c.height))
                    for (std::size_t f = 0; f < kFeatures; ++f) {
                        const double gradient = input_gradient[i * shape.inputs() + l * kFeatures + f];
                        expected[corner.vertex * kFeatures + f] += corner.weight * gradient;
                        sizes[corner.vertex * kFeatures + f] += std::abs(gradient);
                    }
            for (std::size_t e = 0; e < actual.size(); ++e)
                // Positions are rounded twice, and are at most `finest` large; sums are in pieces of 64 at
                // the most, and trees.
                ASSERT_LE(std::abs(actual[e] - expected[e]), (4.0 * c.finest + 96) * 0x1p-24 * sizes[e])
                    << c.width << " x " << c.height << ", level " << l << ", element " << e;
        }
    }
}

TEST_P(NeuralTexture, SameBatchGivesSameBits) {
    samples::Texture texture(device(), kShape);
    texture.initialize(1);
    const Buffer pixels = samples::device_pixels(device(), random_image(kShape));
    const auto gradients = [&] {
        const samples::TexturePasses passes(device(), texture, 117);
        Plan plan = samples::texture_training_plan(device(), texture, passes, pixels, kSeed, {});
        plan.allocate();
        plan.run();
        return all(texture, true);
    };
    const Weights first = gradients();
    EXPECT_EQ(gradients(), first);
}

// In a size of its own, in more than one chunk.
TEST_P(NeuralTexture, PictureIsWhatTheNetworkSays) {
    samples::Texture texture(device(), kShape);
    randomize(texture);
    samples::TexturePicture picture(device(), texture, 203, 187);
    picture.draw();
    const auto pixels = download<std::uint32_t>(picture.pixels());
    const Weights weights = all(texture, false);
    for (std::uint32_t y = 0; y < picture.height(); ++y)
        for (std::uint32_t x = 0; x < picture.width(); ++x) {
            const Values said = colours(texture, weights, {x, y}, picture.width(), picture.height());
            const std::uint32_t pixel = pixels[std::size_t{y} * picture.width() + x];
            ASSERT_EQ(pixel >> 24, 255u);
            for (std::size_t c = 0; c < kColours; ++c)
                // Half a step of rounding, and f32's.
                ASSERT_NEAR(pixel >> (8 * c) & 0xff, 255 * std::clamp(said[c], 0.0, 1.0), 0.501)
                    << x << ", " << y << ", colour " << c;
        }

    samples::TexturePicture swapped(device(), texture, 203, 187, samples::TexturePicture::Order::blue_first);
    swapped.draw();
    const auto other = download<std::uint32_t>(swapped.pixels());
    for (std::size_t i = 0; i < pixels.size(); ++i)
        ASSERT_EQ(other[i], (pixels[i] & 0xff00ff00u) | (pixels[i] & 0xff) << 16 | (pixels[i] >> 16 & 0xff));
}

}  // namespace
}  // namespace heron::test
