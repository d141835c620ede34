// SPDX-License-Identifier: MIT
// What Muon orthogonalizes, of the momentum after its update. The includer has included optim/gradient.glsl.
#ifndef HERON_OPTIM_MUON_DIRECTION_GLSL
#define HERON_OPTIM_MUON_DIRECTION_GLSL

// U = rate G + mu M with Nesterov, else M; of either the sign, where that is wanted. Computed twice from the same
// operands, hence `precise`: the norm has to be the norm of what it divides.
vec4 muon_direction(vec4 m, vec4 g, float momentum, float rate, uint flags) {
    precise vec4 u = rate * g + momentum * m;
    u = (flags & MUON_NESTEROV) != 0u ? u : m;
    return (flags & MUON_SIGN) != 0u ? sign(u) : u;
}

#endif
