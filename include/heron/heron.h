// SPDX-License-Identifier: MIT
// Everything of the C API (C11). What it offers is the C++ API's: devices, buffers, every optimizer, groups and
// routing, schedules, plans, states, checkpoints, files of tensors, rules of step lengths and dampings, errors and
// logs. In C++ only are, because they take a graph of one's own operations, whose recipes and kernels are C++:
// heron/graph.hpp, linalg.hpp, curvature.hpp, aggregate.hpp, evolution.hpp and the steps of newton.hpp.
//
//   heron_muon_options options;
//   heron_muon_options_init(&options);        // all defaults
//   options.lr = 0.02f;
//   heron_optimizer* muon = NULL;
//   if (heron_muon_create(device, &options, &muon) != HERON_SUCCESS) puts(heron_last_error());
//
// Within a minor version no struct changes its size or its members' places, and no enumerator its number: any patch of
// the headers fits any patch of the library. A change raises the minor version, and then heron_check_version() and the
// functions that fill options, heron_device_options_init() before all, refuse the other's headers.
//
// Results, versions, ownership and texts: c/base.h. samples/c_first_step is a whole program.
#pragma once

#include "heron/c/base.h"
#include "heron/c/device.h"
#include "heron/c/newton.h"
#include "heron/c/optimizers.h"
#include "heron/c/plan.h"
#include "heron/c/schedule.h"
#include "heron/c/state.h"
#include "heron/c/train.h"
#include "heron/c/types.h"
