"""Adafactor with T5X's preset, in float64 and plain numpy: the formulas of Shazeer & Stern (2018) as T5X uses them to fine-tune T5.

At step t = 1, 2, …, for a parameter p with gradient g:

    beta2 = 1 - t ** -decay_rate                                   (0 at t = 1: the first step forgets the initial zeros)
    s = g * g + epsilon1
    matrix with both sides >= min_dim_size_to_factor:
        row = beta2 * row + (1 - beta2) * mean(s, over columns);   col = beta2 * col + (1 - beta2) * mean(s, over rows)
        v = outer(row, col) / mean(row)
    anything else:
        v = beta2 * v + (1 - beta2) * s
    u = g / sqrt(v);   u = u / max(1, rms(u) / clipping_threshold)
    p = p - learning_rate * max(epsilon2, rms(p)) * u              (rms(p) before the step)
"""

import numpy as np


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


class T5xAdafactor:
    def __init__(self, learning_rate, decay_rate=0.8, clipping_threshold=1.0, epsilon1=1e-30, epsilon2=1e-3, min_dim_size_to_factor=128):
        self.learning_rate = learning_rate
        self.decay_rate = decay_rate
        self.clipping_threshold = clipping_threshold
        self.epsilon1 = epsilon1
        self.epsilon2 = epsilon2
        self.min_dim_size_to_factor = min_dim_size_to_factor
        self.step_number = 0
        self.state = {}

    def is_factored(self, shape):
        return len(shape) == 2 and min(shape) >= self.min_dim_size_to_factor

    def step(self, parameters, gradients):
        """New values of `parameters` (name to float64 array)."""
        self.step_number += 1
        beta2 = 1.0 - self.step_number**-self.decay_rate
        return {name: self._update(name, value, gradients[name].astype(np.float64), beta2) for name, value in parameters.items()}

    def _average(self, key, beta2, value):
        self.state[key] = beta2 * self.state.get(key, 0.0) + (1.0 - beta2) * value
        return self.state[key]

    def _update(self, name, parameter, gradient, beta2):
        square = gradient * gradient + self.epsilon1
        if self.is_factored(parameter.shape):
            row = self._average((name, "row"), beta2, square.mean(axis=1))
            column = self._average((name, "column"), beta2, square.mean(axis=0))
            second_moment = np.outer(row, column) / row.mean()
        else:
            second_moment = self._average((name, "full"), beta2, square)
        update = gradient / np.sqrt(second_moment)
        update = update / max(1.0, rms(update) / self.clipping_threshold)
        return parameter - self.learning_rate * max(self.epsilon2, rms(parameter)) * update
