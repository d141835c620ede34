// SPDX-License-Identifier: MIT
#include "learn_in_window.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "window.hpp"

namespace {

using Clock = std::chrono::steady_clock;

// Of training between two frames, at the least. Where a picture takes longer, as on CPU drivers, the training
// gets as long: else the window would show every step and spend its time on drawing.
constexpr double kFrameSeconds = 0.05;
// Pixels of the window's longer side, at the least.
constexpr std::uint32_t kExtent = 512;

}  // namespace

void learn_in_window(const Image& truth, const samples::TextureShape& shape,
                     const TrainingSettings& training_settings, const WindowSettings& settings) {
    // What a network draws has no resolution of its own.
    const std::uint32_t longer = std::max(truth.width, truth.height);
    const std::uint32_t zoom = (kExtent + longer - 1) / longer;
    Window window(settings.device, truth.width * zoom, truth.height * zoom);
    fmt::print("Device: {}\n", window.device().explain());
    Training training(window.device(), truth, shape, training_settings);
    samples::TexturePicture picture(window.device(), training.texture(), window.width(), window.height(),
                                    window.order());
    const std::string& name = window.device().info().name;
    std::uint32_t steps = 1;   // a frame
    double frame_seconds = 0;  // that the last picture took
    bool shown = false;        // the last step's picture
    while (window.open() && !(settings.close && shown)) {
        const std::uint32_t left = training_settings.steps - training.done();
        if (left > 0) {
            const double before = training.seconds();
            training.run(std::min(steps, left));
            const double seconds = training.seconds() - before;
            const double wanted = std::max(kFrameSeconds, frame_seconds);
            steps = static_cast<std::uint32_t>(std::clamp(steps * wanted / seconds, 1.0, 64.0));
        }
        if (!shown) {
            const Clock::time_point begin = Clock::now();
            picture.draw();
            window.show(picture.pixels());
            frame_seconds = std::chrono::duration<double>(Clock::now() - begin).count();
            window.set_title(fmt::format("{}: step {} of {}, loss {:.5f} ({})",
                                         training_settings.optimizer->name, training.done(),
                                         training_settings.steps, training.loss(), name));
            shown = training.done() == training_settings.steps;
        } else {
            window.wait();
            window.show(picture.pixels());  // it may have been hidden
        }
    }
    fmt::print("{}: {} of {} steps, PSNR {:.2f} dB, weights {:016x} (hash of all parameters)\n",
               training_settings.optimizer->name, training.done(), training_settings.steps, training.psnr(),
               training.texture().hash());
}
