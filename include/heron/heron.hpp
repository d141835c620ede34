// SPDX-License-Identifier: MIT
// Everything public.
#pragma once

#include "heron/device.hpp"
#include "heron/error.hpp"
#include "heron/graph.hpp"
#include "heron/linalg.hpp"
#include "heron/optim/adamuon.hpp"
#include "heron/optim/adamw.hpp"
#include "heron/optim/dion.hpp"
#include "heron/optim/dion2.hpp"
#include "heron/optim/lion.hpp"
#include "heron/optim/muon.hpp"
#include "heron/optim/nordion2.hpp"
#include "heron/optim/normuon.hpp"
#include "heron/optim/random_scaling_sgd.hpp"
#include "heron/optim/sgd.hpp"
#include "heron/optim/signsgd.hpp"
#include "heron/plan.hpp"
#include "heron/state.hpp"
#include "heron/tensor.hpp"
#include "heron/train.hpp"
#include "heron/version.hpp"
