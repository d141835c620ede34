// SPDX-License-Identifier: MIT
// In place of learn_in_window.cpp where the build has no GLFW.
#include "learn_in_window.hpp"
#include "support/bad_input.hpp"

void learn_in_window(const Image&, const samples::TextureShape&, const TrainingSettings&,
                     const WindowSettings&) {
    throw samples::BadInput(
        "--window: this program was built without GLFW (Debian: apt install libglfw3-dev, then configure and "
        "build again)");
}
