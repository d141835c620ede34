// SPDX-License-Identifier: MIT
// A window that shows the network learning.
#pragma once

#include <string>

#include "image.hpp"
#include "training.hpp"

struct WindowSettings {
    std::string device;  // as --device has it
    bool close = false;  // after the last step, not when the user wants it
};

// Trains, and draws between steps what the network has learned. Returns when the user closes the window (or
// presses Escape). Throws samples::BadInput where the sample was built without GLFW, std::runtime_error where
// there is no display or nothing can be presented on it, heron::Error.
void learn_in_window(const Image& truth, const samples::TextureShape& shape, const TrainingSettings& training,
                     const WindowSettings& settings);
