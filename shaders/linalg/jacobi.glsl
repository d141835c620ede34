// SPDX-License-Identifier: MIT
// The round-robin tournament of Jacobi's method.
#ifndef HERON_LINALG_JACOBI_GLSL
#define HERON_LINALG_JACOBI_GLSL

// Player 0 stays, the others move on by one seat a round.
uint jacobi_player(uint seat, uint round, uint players) {
    return seat == 0u ? 0u : 1u + (seat - 1u + round) % (players - 1u);
}

// The i-th of players / 2 pairs of a round, the lower number first; `players` is even.
uvec2 jacobi_pair(uint i, uint round, uint players) {
    uint a = jacobi_player(i, round, players);
    uint b = jacobi_player(players - 1u - i, round, players);
    return uvec2(min(a, b), max(a, b));
}

#endif
