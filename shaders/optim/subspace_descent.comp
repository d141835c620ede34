// SPDX-License-Identifier: MIT
// One step of all bases P, from the second step on; q is the gradient of a basis' loss, r = 1 - beta:
//
//   AdamW   m <- m + r1 (q - m);  v <- v + r2 (q^2 - v)
//           P <- (1 - lr wd) P - lr (m / (1 - beta1^(t-1))) / (sqrt(v / (1 - beta2^(t-1))) + eps)
//   SGD     P <- P - lr q
//   Lion    P <- (1 - lr wd) P - lr sign(m + r1 (q - m));  then m <- m + r2 (q - m)
//
// A basis whose gradient G is zero stays as it is. One workgroup takes rounds x workgroup size quads.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "optim/subspace_descent.h"

#define JOB SubspaceDescentJob
#include "core/kernel.glsl"
#include "core/half.glsl"
#include "optim/parameter.glsl"

// 1 / (1 - beta^(t-1)) of 1 / (1 - beta^t): what is subtracted is at most half of the other.
float correction_before(float correction, float rate) {
    float beta = 1.0 - rate;
    return beta > 0.0 ? beta / (1.0 / correction - rate) : 1.0;
}

void main() {
    if (nothing_to_do() || p.control.c.step <= 1u)
        return;
    uint group = workgroup_index();
    uint j = find_job(group);
    uint count = p.jobs.job[j].range.count;
    uint quads = quad_count(j);
    uint rounds = p.jobs.job[j].range.rounds;
    uint begin = quad_begin(j, group, rounds);
    F32x4 gradient = p.jobs.job[j].gradient;
    F32x4 basis = p.jobs.job[j].basis;
    F32x4 moment1 = p.jobs.job[j].moment1;
    F32x4 moment2 = p.jobs.job[j].moment2;
    F32 norms = p.jobs.job[j].norms;
    uint item_elements = p.jobs.job[j].item_elements;
    float pull = p.jobs.job[j].pull;
    uint rule = p.jobs.job[j].rule;
    SubspaceDescentHyperRef hyper = p.jobs.job[j].hyper;
    SubspaceDescentHyper h = hyper.h;
    float correction1 = correction_before(h.correction1, h.rate1);
    float correction2 = correction_before(h.correction2, h.rate2);
    float kept = rule == DESCENT_SGD ? 1.0 : 1.0 - h.lr * h.weight_decay;

    for (uint r = 0u; r < rounds; ++r) {
        uint q = quad_at(begin, r);
        if (q >= quads)
            break;
        uint valid = min(4u, count - 4u * q);
        bvec4 moves = bvec4(false);
        for (uint k = 0u; k < valid; ++k)
            moves[k] = norms.v[(4u * q + k) / item_elements] >= 1.17549435e-38;
        vec4 w = load_state(basis, 4u * q, valid);
        vec4 x = load_state(gradient, 4u * q, valid);
        vec4 g = clamp(2.0 * (x - pull * w), -LARGEST_GRADIENT, LARGEST_GRADIENT);
        vec4 update = h.lr * g;
        if (rule != DESCENT_SGD) {
            vec4 m = load_state(moment1, 4u * q, valid);
            if (rule == DESCENT_LION) {
                update = h.lr * sign(m + h.rate1 * (g - m));
                store_state(moment1, 4u * q, valid, mix(m, m + h.rate2 * (g - m), moves));
            } else {
                vec4 v = load_state(moment2, 4u * q, valid);
                vec4 m_new = m + h.rate1 * (g - m);
                vec4 v_new = v + h.rate2 * (g * g - v);
                store_state(moment1, 4u * q, valid, mix(m, m_new, moves));
                store_state(moment2, 4u * q, valid, mix(v, v_new, moves));
                vec4 denominator = safe_sqrt(v_new * correction2) + h.eps;
                bvec4 defined = greaterThan(denominator, vec4(0.0));
                update = mix(vec4(0.0), h.lr * (m_new * correction1) / mix(vec4(1.0), denominator, defined), defined);
            }
        }
        store_state(basis, 4u * q, valid, mix(w, clamp_finite(kept * w - clamp_finite(update, DTYPE_F32), DTYPE_F32), moves));
    }
}
