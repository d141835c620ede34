// SPDX-License-Identifier: MIT
// Parameters, routing, compilation, checkpoints and averages of the C API.
#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "c/convert.hpp"
#include "c/files.hpp"
#include "c/handles.hpp"

namespace heron::c {

namespace {

Optimizer& optimizer_of(heron_optimizer* optimizer) { return *need(optimizer, "optimizer").optimizer; }
Plan& plan_of(heron_plan* plan) { return need(plan, "plan").plan; }
const Plan& plan_of(const heron_plan* plan) { return need(plan, "plan").plan; }

std::vector<Parameter> read_parameters(const heron_parameter* parameters, std::uint32_t count) {
    std::vector<Parameter> read;
    for (const heron_parameter& parameter : need_list(parameters, count, "parameters"))
        read.push_back(read_struct(parameter));
    return read;
}

Layer read_layer(const heron_layer* layer) {
    const heron_layer& c = need(layer, "layer");
    check_header(c.header, sizeof c, "heron_layer");
    Layer read;
    read.weight = read_struct(need(c.weight, "heron_layer.weight"));
    if (c.bias != nullptr) read.bias = read_struct(*c.bias);
    Read()(c.inputs, read.inputs);
    Read()(c.output_gradients, read.output_gradients);
    Read()(c.sharing, read.sharing);
    Read()(c.loss, read.loss);
    if (c.patches != nullptr) Read()(*c.patches, read.patches.emplace());
    return read;
}

// `scale` changes the scales of the parameters' copies, which come back.
template <class Scale>
heron_result scale_parameters(heron_parameter* parameters, std::uint32_t count, const Scale& scale) {
    return guarded([&] {
        std::vector<Parameter> scaled = read_parameters(parameters, count);
        scale(std::span<Parameter>(scaled));
        for (std::uint32_t i = 0; i < count; ++i) {
            parameters[i].lr_scale = scaled[i].lr_scale;
            parameters[i].weight_decay_scale = scaled[i].weight_decay_scale;
            Fill()(parameters[i].damping_scale, scaled[i].damping_scale);
        }
    });
}

void set_coefficients(heron_polar_options& polar, const std::vector<NewtonSchulzCoefficients>& coefficients) {
    if (coefficients.size() > HERON_LIST_CAPACITY)
        refuse(std::to_string(coefficients.size()) + " steps, with room for " +
               std::to_string(HERON_LIST_CAPACITY) + "; longer lists go into coefficients_list");
    Fill().list(polar.coefficients_count, polar.coefficients, polar.coefficients_list, coefficients);
}

}  // namespace

}  // namespace heron::c

using namespace heron;
using namespace heron::c;

// --- Optimizers

void heron_optimizer_destroy(heron_optimizer* optimizer) { delete optimizer; }

heron_result heron_optimizer_add(heron_optimizer* optimizer, const heron_parameter* parameter) {
    return guarded([&] { optimizer_of(optimizer).add(read_struct(need(parameter, "parameter"))); });
}

heron_result heron_optimizer_add_with_inputs(heron_optimizer* optimizer, const heron_parameter* parameter,
                                             const heron_psgd_inputs* inputs) {
    return guarded([&] {
        Optimizer& to = optimizer_of(optimizer);
        Parameter added = read_struct(need(parameter, "parameter"));
        const PsgdInputs beside = read_struct(need(inputs, "inputs"));
        if (auto* kron = dynamic_cast<PsgdKron*>(&to))
            kron->add(std::move(added), beside);
        else if (auto* lra = dynamic_cast<PsgdLra*>(&to))
            lra->add(std::move(added), beside);
        else if (auto* lookahead = dynamic_cast<Lookahead*>(&to))
            lookahead->add(std::move(added), beside);
        else if (auto* torch = dynamic_cast<KronTorch*>(&to)) {
            if (beside.product.address != 0 || beside.probe.address != 0)
                refuse("kron_torch takes draws alone, neither a product nor a probe");
            torch->add(std::move(added), beside.draws);
        } else
            refuse("the optimizer \"" + to.name() + "\" takes no inputs beside a parameter");
    });
}

heron_result heron_init_layer(heron_layer* options, size_t bytes, uint32_t version) {
    return initialize(options, bytes, version, [] {
        heron_layer initial{};
        const Layer layer;
        Fill()(initial.sharing, layer.sharing);
        Fill()(initial.loss, layer.loss);
        return initial;
    });
}

heron_result heron_optimizer_add_layer(heron_optimizer* optimizer, const heron_layer* layer) {
    return guarded([&] {
        Optimizer& to = optimizer_of(optimizer);
        if (auto* layers = dynamic_cast<LayerOptimizer*>(&to))
            layers->add_layer(read_layer(layer));
        else if (auto* lookahead = dynamic_cast<Lookahead*>(&to))
            lookahead->add_layer(read_layer(layer));
        else
            refuse("the optimizer \"" + to.name() + "\" takes parameters, no layers");
    });
}

const char* heron_optimizer_name(const heron_optimizer* optimizer) {
    return optimizer == nullptr ? nullptr : optimizer->optimizer->name().c_str();
}
heron_result heron_optimizer_set_name(heron_optimizer* optimizer, const char* name) {
    return guarded([&] { optimizer_of(optimizer).set_name(std::string(need_text(name, "name"))); });
}
uint32_t heron_optimizer_parameter_count(const heron_optimizer* optimizer) {
    return optimizer == nullptr ? 0 : static_cast<uint32_t>(optimizer->optimizer->parameters().size());
}

heron_result heron_polar_options_set(heron_polar_options* polar, const char* name, uint32_t steps) {
    return guarded([&] {
        set_coefficients(need(polar, "polar"), newton_schulz_coefficients(need_text(name, "name"), steps));
    });
}
heron_result heron_polar_options_set_express(heron_polar_options* polar, double lower_bound, uint32_t steps,
                                             double safety, double cushion) {
    return guarded([&] {
        set_coefficients(need(polar, "polar"),
                         polar_express_coefficients(lower_bound, steps, safety, cushion));
    });
}

// --- Routing and scaling

heron_result heron_routing_create(const heron_parameter* parameters, uint32_t count,
                                  heron_routing** routing) {
    return guarded([&] {
        need(routing, "routing");
        *routing = new heron_routing{route(read_parameters(parameters, count))};
    });
}
heron_result heron_routing_create_by(const heron_parameter* parameters, uint32_t count, heron_role_rule rule,
                                     void* user, heron_routing** routing) {
    return guarded([&] {
        need(routing, "routing");
        if (rule == nullptr) refuse("rule is NULL");
        const RoleRule of_caller = [=](std::string_view name, const Shape& shape, Role role) {
            heron_shape of_parameter{};
            Fill()(of_parameter, shape);
            return static_cast<Role>(
                rule(user, std::string(name).c_str(), &of_parameter, static_cast<heron_role>(role)));
        };
        *routing = new heron_routing{route_by(read_parameters(parameters, count), of_caller)};
    });
}
void heron_routing_destroy(heron_routing* routing) { delete routing; }
uint32_t heron_routing_count(const heron_routing* routing) {
    return routing == nullptr ? 0 : static_cast<uint32_t>(routing->routes.size());
}
heron_result heron_routing_get(const heron_routing* routing, uint32_t index, heron_route* route) {
    return guarded([&] {
        const auto& routes = need(routing, "routing").routes;
        if (index >= routes.size())
            refuse("route " + std::to_string(index) + " of a routing of " + std::to_string(routes.size()));
        const Route& from = routes[index];
        need(route, "route") = {from.name.c_str(), static_cast<heron_role>(from.role), from.matrix,
                                from.reason.c_str(), from.warning.c_str()};
    });
}
heron_result heron_routing_report(const heron_routing* routing, char* text, size_t* bytes) {
    return guarded_result(
        [&] { return hand_out(routing_report(need(routing, "routing").routes), text, bytes); });
}

heron_result heron_scale_learning_rates(heron_parameter* parameters, uint32_t count,
                                        const heron_width_rules* rules) {
    return scale_parameters(parameters, count, [&](std::span<Parameter> scaled) {
        scale_learning_rates(scaled, read_struct(need(rules, "rules")));
    });
}
heron_result heron_scale_learning_rates_by(heron_parameter* parameters, uint32_t count, double factor) {
    return scale_parameters(parameters, count,
                            [&](std::span<Parameter> scaled) { scale_learning_rates(scaled, factor); });
}
heron_result heron_scale_weight_decay(heron_parameter* parameters, uint32_t count,
                                      const heron_width_rules* rules) {
    return scale_parameters(parameters, count, [&](std::span<Parameter> scaled) {
        scale_weight_decay(scaled, read_struct(need(rules, "rules")));
    });
}
heron_result heron_make_decay_independent(heron_parameter* parameters, uint32_t count) {
    return scale_parameters(parameters, count,
                            [](std::span<Parameter> scaled) { make_decay_independent(scaled); });
}
heron_result heron_scale_damping(heron_parameter* parameters, uint32_t count, double base_width) {
    return scale_parameters(parameters, count,
                            [&](std::span<Parameter> scaled) { scale_damping(scaled, base_width); });
}

// --- Compilation, and while the plan runs

heron_result heron_compile(const heron_device* device, heron_optimizer* const* optimizers, uint32_t count,
                           const heron_step_options* options, heron_plan** plan) {
    return guarded([&] {
        need(plan, "plan");
        std::vector<const Optimizer*> members;
        for (heron_optimizer* optimizer : need_list(optimizers, count, "optimizers"))
            members.push_back(need(optimizer, "an optimizer").optimizer.get());
        *plan = new heron_plan(compile(need(device, "device").device, members, read_options(options)));
    });
}

heron_result heron_plan_status(const heron_plan* plan, heron_step_status* status) {
    return guarded([&] { need(status, "status") = filled<heron_step_status>(heron::status(plan_of(plan))); });
}
heron_result heron_plan_set_learning_rate(heron_plan* plan, const char* optimizer, float lr) {
    return guarded([&] { set_learning_rate(plan_of(plan), need_text(optimizer, "optimizer"), lr); });
}
heron_result heron_plan_loss_scale_address(const heron_plan* plan, VkDeviceAddress* address) {
    return guarded([&] { need(address, "address") = loss_scale_address(plan_of(plan)); });
}
heron_result heron_plan_set_second_order(heron_plan* plan, const char* optimizer, bool on) {
    return guarded([&] { set_second_order(plan_of(plan), need_text(optimizer, "optimizer"), on); });
}
heron_result heron_plan_report_loss(heron_plan* plan, const char* optimizer, double loss, bool* on) {
    return guarded([&] {
        const bool second_order = report_loss(plan_of(plan), need_text(optimizer, "optimizer"), loss);
        if (on != nullptr) *on = second_order;
    });
}
heron_result heron_plan_set_damping(heron_plan* plan, const char* optimizer, float damping) {
    return guarded([&] { set_damping(plan_of(plan), need_text(optimizer, "optimizer"), damping); });
}
heron_result heron_plan_kfac_clip(const heron_plan* plan, const char* optimizer, heron_kfac_clip* clip) {
    return guarded([&] {
        need(clip, "clip") =
            filled<heron_kfac_clip>(kfac_clip(plan_of(plan), need_text(optimizer, "optimizer")));
    });
}
heron_result heron_adapted_damping(float damping, double change, double predicted,
                                   const heron_damping_adaptation* options, float* adapted) {
    return guarded([&] {
        need(adapted, "adapted") = adapted_damping(damping, change, predicted, read_options(options));
    });
}

// --- Checkpoints and averages

heron_result heron_save_checkpoint(const heron_plan* plan, const char* path,
                                   const heron_metadata_entry* metadata, uint32_t metadata_count) {
    return guarded(
        [&] { save_checkpoint(plan_of(plan), path_of(path), read_metadata(metadata, metadata_count)); });
}
heron_result heron_load_checkpoint(heron_plan* plan, const char* path, heron_changed_options changed,
                                   heron_metadata** metadata) {
    return guarded([&] {
        load_metadata(metadata, [&] {
            return load_checkpoint(plan_of(plan), path_of(path), enum_of<ChangedOptions>(changed));
        });
    });
}

heron_result heron_evaluation_weights_create(const heron_plan* training, const heron_parameter* parameters,
                                             uint32_t count, const char* state,
                                             heron_evaluation_weights** weights) {
    return guarded([&] {
        need(weights, "weights");
        *weights = new heron_evaluation_weights{EvaluationWeights(
            plan_of(training), read_parameters(parameters, count), need_text(state, "state"))};
    });
}
void heron_evaluation_weights_destroy(heron_evaluation_weights* weights) { delete weights; }
heron_result heron_evaluation_weights_record_load(heron_evaluation_weights* weights,
                                                  VkCommandBuffer commands) {
    return guarded([&] { need(weights, "weights").weights.record_load(commands); });
}
heron_result heron_evaluation_weights_record_restore(heron_evaluation_weights* weights,
                                                     VkCommandBuffer commands) {
    return guarded([&] { need(weights, "weights").weights.record_restore(commands); });
}
heron_result heron_evaluation_weights_load(heron_evaluation_weights* weights) {
    return guarded([&] { need(weights, "weights").weights.load(); });
}
heron_result heron_evaluation_weights_restore(heron_evaluation_weights* weights) {
    return guarded([&] { need(weights, "weights").weights.restore(); });
}
