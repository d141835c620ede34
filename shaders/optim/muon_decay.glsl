// SPDX-License-Identifier: MIT
// Weight decay in the forms of Muon's family (heron::DecayForm). The includer has included optim/muon.h and
// optim/weight.glsl.
#ifndef HERON_OPTIM_MUON_DECAY_GLSL
#define HERON_OPTIM_MUON_DECAY_GLSL

// What a weight loses of itself: lr wd, or lr^2 wd (MUON_SQUARED_DECAY).
float matrix_decay(uint j, float lr, float weight_decay, uint flags) {
    float decay = clamp_finite(lr * parameter_decay(j, weight_decay));
    return (flags & MUON_SQUARED_DECAY) != 0u ? clamp_finite(lr * decay) : decay;
}

// w after decay; with MUON_CAUTIOUS only elements decay whose w o >= 0.
vec4 decayed(vec4 w, vec4 o, float decay, uint flags) {
    vec4 kept = vec4(1.0 - decay);
    if ((flags & MUON_CAUTIOUS) != 0u)
        kept = mix(vec4(1.0), kept, same_direction(w, o));
    return kept * w;
}

// What is taken off it: with MUON_DECAY_AFTER the weight decays after its update, and so does the update.
vec4 decayed_update(vec4 update, float decay, uint flags) {
    return (flags & MUON_DECAY_AFTER) != 0u ? (1.0 - decay) * clamp_finite(update, DTYPE_F32) : update;
}

#endif
