// SPDX-License-Identifier: MIT
// Everything of the C API (C11). What it offers is the C++ API's: devices, buffers, every optimizer, groups and
// routing, schedules, plans, states, checkpoints, errors and logs. (Graphs of one's own operations, and what is
// made of them, heron/linalg.hpp and its like, are C++ only.)
//
//   heron_muon_options options;
//   heron_muon_options_init(&options);        // all defaults
//   options.lr = 0.02f;
//   heron_optimizer* muon = NULL;
//   if (heron_muon_create(device, &options, &muon) != HERON_SUCCESS) puts(heron_last_error());
//
// Results, versions, ownership and texts: c/base.h. samples/c_first_step is a whole program.
#pragma once

#include "heron/c/base.h"
#include "heron/c/device.h"
#include "heron/c/optimizers.h"
#include "heron/c/plan.h"
#include "heron/c/schedule.h"
#include "heron/c/train.h"
#include "heron/c/types.h"
