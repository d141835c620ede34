# SPDX-License-Identifier: MIT
"""What of the C++ API the C API has, and what not, with the reasons: lists for generate.py."""

# Headers whose structs and enumerations have C counterparts, in the order of their dependencies.
COVERED = ["tensor.hpp", "device.hpp", "graph.hpp", "plan.hpp", "linalg/polar.hpp", "linalg/factor.hpp",
           "linalg/structure.hpp", "linalg/woodbury.hpp", "curvature.hpp", "newton.hpp", "state.hpp", "train.hpp",
           "scaling.hpp"]
# Those of them whose functions are operations of graphs, which C does not have.
GRAPH_HEADERS = ["graph.hpp", "curvature.hpp", "linalg/"]
# Not in the C API: graphs of one's own operations, and what is built of them. (optim/ is always covered.)
NOT_COVERED = {
    "heron.hpp": "includes the rest",
    "export.hpp": "a macro",
    "version.hpp": "macros, copied",
    "error.hpp": "heron_result, written by hand; a switch over all codes converts it",
    "linalg.hpp": "includes the rest",
    "linalg/": "operations of graphs",
    "aggregate.hpp": "operations of graphs",
    "evolution.hpp": "operations of graphs",
}
# Enumerations and plain structs that the C API has, beside those that optimizers' options refer to.
TYPES = ["DType", "BufferRange", "TensorView", "Severity", "MemoryKind", "MatrixShape", "Capabilities",
         "DisabledCapabilities",
         "MemoryRequest", "Phase", "PlanOptions", "PlanMemory", "SemaphoreValue", "SliceBudget", "SliceResult", "Role",
         "MatrixView", "DampingScales", "Parameter", "LossScaleOptions", "StepOptions", "StepStatus", "ChangedOptions",
         "WidthRules", "LayerSharing", "LossReduction", "ConvPatches", "PsgdInputs", "DampingAdaptation", "KfacClip",
         "ArmijoOptions", "LevenbergMarquardtOptions", "GradientDampingOptions", "FileDType", "SafetensorsLimits",
         "SafetensorsWriteOptions"]
# Those that begin with their size and version, since callers make them and more fields may come.
VERSIONED = ["SliceBudget", "Parameter", "StepOptions", "WidthRules", "PsgdInputs", "DampingAdaptation",
             "ArmijoOptions", "LevenbergMarquardtOptions", "GradientDampingOptions", "SafetensorsLimits",
             "SafetensorsWriteOptions"]
# Those that Heron fills, or that have no defaults worth a word.
FILLED = ["Capabilities", "KfacClip", "MemoryRequest", "SliceResult", "StepStatus", "TensorView"]
# Structs that are written by hand, with the C++ fields that src/c converts.
BY_HAND = {
    "DeviceInfo": "index name driver type uuid vendor_id device_id api_version usable reason",
    "MemoryCallbacks": "allocate free",
    "DeviceOptions": "select disable log memory allocator pipeline_cache get_instance_proc_addr instance_layers "
                     "instance_extensions debug_names header_major header_minor",
    "AdoptedDevice": "get_instance_proc_addr instance physical_device device queue_family other_queue_families queue "
                     "api_version enabled_features enabled_extensions pipeline_cache lock_queue unlock_queue",
    "SubmitInfo": "wait signal submit",
    "DispatchTiming": "stage kernel ns",
    "Route": "name role matrix reason warning",
    "Layer": "weight bias inputs output_gradients sharing loss patches",
    "FileTensor": "name dtype shape count offset bytes",
    "FileTensorSource": "name dtype shape fill",
}
# Options of operations of graphs, in headers that the C API has for something else.
GRAPH_OPTIONS = ["GaussNewtonOptions", "AverageDirectionOptions", "NewtonUpdateOptions", "DampedStepOptions"]
# Fields that have no meaning outside of a graph of one's own.
SKIPPED = {("PolarOptions", "status"), ("PolarOptions", "guarded")}
# Static functions of options that are not named sets of these options.
NOT_PRESETS = {("Dion2Options", "dion_polar")}  # what heron_dion2_options_init() sets
# Optimizers whose constructor takes more than a device and options.
CREATED_BY_HAND = {"Lookahead"}

# Public functions whose C counterpart is not called heron_<class>_<function> or heron_<function>; None: the reason
# stands beside it. Of several functions of one name, the counterpart of each. They are written by hand, in
# include/heron/c and src/c. Of optimizers, options() has none: who created one has them.
CLASSES = ["Device", "Buffer", "FeatureChain", "Schedule", "Optimizer", "LayerOptimizer", "Plan", "EvaluationWeights",
           "ArmijoSearch", "LevenbergMarquardt", "GradientDampingRule", "SafetensorsReader"]
# Classes that are values of C.
PLAIN_CLASSES = ["Shape"]
CALLED = {
    "Device::list": "heron_device_list_create",
    "Device::create_buffer": "heron_buffer_create",
    "Device::pipeline_cache_bytes": "heron_device_pipeline_cache",
    "Device::impl": None,  # the library's own
    "DeviceInfo::uuid_text": None,  # members of heron_device_info, as the next one
    "DeviceInfo::type_text": None,
    "TensorView::contiguous": None,  # heron_tensor_view.row_stride is 0 or a row's length
    "Schedule::pieces": None,  # heron_schedule is its pieces
    "Optimizer::parameters": "heron_optimizer_parameter_count",
    "Optimizer::device": None,  # whoever created it knows
    "LayerOptimizer::add_layer": "heron_optimizer_add_layer",
    "LayerOptimizer::layers": None,  # whoever added them knows
    "Lookahead::add": "heron_optimizer_add_with_inputs",
    "Lookahead::add_layer": "heron_optimizer_add_layer",
    "Lookahead::inner": None,  # belongs to Heron
    "PsgdKron::add": "heron_optimizer_add_with_inputs",
    "PsgdLra::add": "heron_optimizer_add_with_inputs",
    "KronTorch::add": "heron_optimizer_add_with_inputs",
    "Plan::device": None,
    "Plan::impl": None,
    "Plan::states": "heron_plan_get_state",
    "Plan::table": None,  # of tensors of a graph, as the next three
    "Plan::write_table": None,
    "Plan::readback": None,
    "Plan::view": None,
    "SafetensorsReader::tensors": "heron_safetensors_reader_tensor",
    "SafetensorsReader::tensor": "heron_safetensors_reader_find",  # NULL in place of an exception
    "SafetensorsReader::read": ("heron_safetensors_reader_read", "heron_safetensors_reader_read_part"),
    "file_dtype": None,  # four of the numbers
    "to_string": None,  # of enumerators, which C has as numbers; heron_result_text() for those of errors
    "bytes_of": None,  # 1, 2, 4 or 8
    "compile": ("heron_compile", "heron_compile"),  # of a span and of a list in braces
    "route": "heron_routing_create",
    "route_by": "heron_routing_create_by",
    "status": "heron_plan_status",
    "set_learning_rate": "heron_plan_set_learning_rate",
    "loss_scale_address": "heron_plan_loss_scale_address",
    "set_second_order": "heron_plan_set_second_order",
    "report_loss": "heron_plan_report_loss",
    "set_damping": "heron_plan_set_damping",
    "kfac_clip": "heron_plan_kfac_clip",
    "scale_learning_rates": ("heron_scale_learning_rates", "heron_scale_learning_rates_by"),
    "draw_scion_weight": None,  # an operation of a graph, as the rest
    "gauss_newton_direction": None,
    "gauss_newton_model": None,
    "average_direction": None,
    "newton_update": None,
    "damped_newton_step": (None, None),
}

# Functions that comments name, where the counterpart above is not what is meant.
IN_COMMENTS = {"lambda": "heron_gradient_damping_rule_lambda",
               "newton_schulz_coefficients": "heron_polar_options_set",
               "scale_learning_rates": "heron_scale_learning_rates_by"}
# What stands before a parenthesis in comments and is no function of C++: formulas, and endings of words and names.
FORMULAS = ["C", "RMS", "ceil", "cond", "diag", "embedding", "m_", "max", "min", "sign", "sqrt", "triu",
            "_bytes", "_create", "_destroy", "_init"]
