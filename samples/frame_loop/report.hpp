// SPDX-License-Identifier: MIT
// What the frames cost, as a Markdown table that reads well on a terminal, and whether all is as promised.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "frame_loop.hpp"

std::string report_table(std::span<const LoopResult> results);
// After how many steps the weights of all modes that came so far were compared, and that they are the same.
std::string weights_text(std::span<const LoopResult> results);
// What is not as it has to be; empty: nothing.
std::vector<std::string> broken_promises(std::span<const LoopResult> results);
