"""Random plans for the area fit: number N gives the same plan everywhere.

A plan is a short chain of layers with random formats, shapes, kinds and foldings. Numbers divisible by 3 are held out:
no coefficient ever sees them. Numbers from 2003 to 2999 and from 5003 on are for the last measurement alone.
"""

import random


# Plans from this number on have more layers and larger arrays.
LARGE = 3000
# Plans from this number on, and from LARGE + this number on, are kept for the last measurement.
FINAL = 2003
# Plans from this number on have bit-serial arrays, with and without modes; their own numbers start from 0 here.
SERIAL = 20000


def divisors(number):
    return [d for d in range(1, number + 1) if number % d == 0]


def final(number):
    """Never looked at before the models were finished: their error is the one that is stated."""
    return number % SERIAL % LARGE >= FINAL


def held_out(number):
    """Never fitted, but looked at while terms were chosen."""
    return number % SERIAL % 3 == 0 and not final(number)


class Chain:
    """Layers as they are added, with the shape and the format of what leaves the last."""

    def __init__(self, number):
        self.large = number >= LARGE
        self.random = random.Random(f"hwgen area {number % LARGE}")
        pick = self.random.choice
        sides = [4, 5, 6, 8, 10, 12] if self.large else [4, 5, 6, 8, 10]
        self.shape = [pick(sides), pick(sides), pick([1, 2, 3, 4, 6, 8])]
        self.work = 260 if self.large else pick([30, 60, 120, 200])
        self.format = self.activation()
        self.input = f"{{ shape: {self.shape}, format: {self.format} }}"
        self.layers = []

    def activation(self):
        pick = self.random.choice
        if self.random.random() < 0.2:
            return f"bipolar{pick([1, 1, 2, 2, 3, 4])}"
        return pick("uuus") + str(pick([1, 2, 2, 3, 4, 4, 4, 5, 6, 8, 8, 8]))

    def weight(self):
        pick = self.random.choice
        if self.random.random() < 0.2:
            return f"bipolar{pick([1, 1, 2, 2, 3, 4])}"
        return pick("ssssu") + str(pick([2, 2, 3, 4, 4, 5, 6, 8, 8]))

    def bits(self, name):
        return int("".join(c for c in name if c.isdigit()))

    def add(self, text, hardware, wide=False):
        name = f"l{len(self.layers) + 1}"
        hw = ", ".join(f"{key}: {value}" for key, value in hardware.items())
        self.layers.append(f"  - {{ name: {name}, {text}, hw: {{ {hw} }} }}")
        return name

    def unit(self, output):
        return self.random.choice(["thresholds", "rescale"]) if self.bits(output) <= 6 else "rescale"

    def folding(self, outputs, length, work, groups=1):
        """PE and SIMD whose array multiplies at most `work` bit pairs a cycle."""
        pairs = [(pe, simd) for pe in divisors(outputs) for simd in divisors(length)]
        pairs = [(pe, simd) for pe, simd in pairs if pe * simd <= work and simd <= 64 and pe <= 16]
        return self.random.choice(pairs or [(1, 1)])

    def array(self, op, text, outputs, length):
        pick, chance = self.random.choice, self.random.random
        weight, output = self.weight(), self.activation()
        product_bits = self.bits(weight) * self.bits(self.format)
        xnor = chance() < 0.5 and "bipolar" in weight and "bipolar" in self.format
        pe, simd = self.folding(outputs, length, max(1, self.work // product_bits))
        hardware = {"kind": "xnor" if xnor else "mac", "pe": pe, "simd": simd}
        hardware["memory"] = pick(["lut", "lut", "block"])
        if not xnor:
            hardware["multiplier"] = "dsp" if chance() < 0.15 else "lut"
        hardware["requantize"] = self.unit(output)
        if not self.large and op == "conv2d" and "kernel: [1, 1]" not in text and chance() < 0.2:
            hardware["window"] = "parallel"
        self.add(f"op: {op}, {text}outputs: {outputs}, weight: {weight}, output: {output}", hardware)
        self.format = output

    def window(self, kernels, strides, padded):
        pick = self.random.choice
        kernel = [min(pick(kernels), self.shape[0]), min(pick(kernels), self.shape[1])]
        if self.random.random() < 0.7:
            kernel[1] = min(kernel[0], self.shape[1])
        stride = [pick(strides)] * 2
        pad = [k // 2 if padded else 0 for k in kernel]
        rows = (self.shape[0] + 2 * pad[0] - kernel[0]) // stride[0] + 1
        columns = (self.shape[1] + 2 * pad[1] - kernel[1]) // stride[1] + 1
        text = f"kernel: {kernel}, stride: {stride}, padding: [{pad[0]}, {pad[1]}, {pad[0]}, {pad[1]}], "
        return text, kernel, [rows, columns]

    def conv(self):
        text, kernel, [rows, columns] = self.window([1, 1, 2, 3, 3, 3, 5], [1, 1, 1, 2], self.random.random() < 0.6)
        outputs = self.random.choice([1, 2, 3, 4, 4, 6, 8, 8, 12, 16, 24])
        self.array("conv2d", text, outputs, kernel[0] * kernel[1] * self.shape[2])
        self.shape = [rows, columns, outputs]

    def depthwise(self):
        pick = self.random.choice
        text, kernel, [rows, columns] = self.window([2, 3, 3, 5], [1, 1, 2], self.random.random() < 0.6)
        weight, output = f"s{pick([2, 3, 4, 8])}", self.activation()
        channels = self.shape[2]
        if channels == 1:
            return
        pe = pick(divisors(channels))
        simd = pick(divisors(kernel[0] * kernel[1])) if pe == 1 else 1
        hardware = {"kind": "depthwise", "pe": pe, "simd": simd, "requantize": self.unit(output)}
        self.add(f"op: conv2d, {text}groups: {channels}, outputs: {channels}, weight: {weight}, output: {output}", hardware)
        self.shape, self.format = [rows, columns, channels], output

    def dense(self):
        outputs = self.random.choice([2, 4, 5, 8, 10, 16, 24])
        self.array("dense", "", outputs, self.shape[0] * self.shape[1] * self.shape[2])
        self.shape = [1, 1, outputs]

    def max_pool(self):
        if "bipolar" not in self.format:
            self.pool("max_pool")

    def pool(self, op):
        kernel = self.random.choice([k for k in [1, 2, 3, 4] if self.shape[0] % k == 0 and self.shape[1] % k == 0])
        overlapping = op == "max_pool" and self.random.random() < 0.3 and min(self.shape[:2]) >= 3
        stride, pad = (2, 1) if overlapping else (kernel, 0)
        kernel = 3 if overlapping else kernel
        if kernel == 1:
            return
        rows, columns = ((self.shape[i] + 2 * pad - kernel) // stride + 1 for i in (0, 1))
        text = f"op: {op}, kernel: [{kernel}, {kernel}], stride: [{stride}, {stride}], padding: [{pad}, {pad}, {pad}, {pad}]"
        hardware = {"pe": self.random.choice(divisors(self.shape[2]))}
        if op == "sum_pool":
            self.format = self.activation()
            text += f", output: {self.format}"
            hardware["requantize"] = self.unit(self.format)
        self.add(text, hardware)
        self.shape = [rows, columns, self.shape[2]]

    def requantize(self):
        output = self.activation()
        hardware = {"pe": self.random.choice(divisors(self.shape[2])), "requantize": self.unit(output)}
        self.add(f"op: requantize, output: {output}", hardware)
        self.format = output

    def branch(self):
        """A residual sum, a product or a concatenation around a pointwise convolution."""
        before = f"l{len(self.layers)}" if self.layers else "input"
        pick = self.random.choice
        channels, entering = self.shape[2], self.format
        self.array("conv2d", "kernel: [1, 1], ", channels, channels)
        after = f"l{len(self.layers)}"
        op = pick(["add", "add", "multiply", "concat"])
        lanes = pick(divisors(channels))
        if op == "concat":
            if self.format != entering:
                return
            self.add(f"op: concat, inputs: [{before}, {after}]", {"pe": lanes})
            self.shape = [*self.shape[:2], 2 * channels]
            return
        self.format = self.activation()
        hardware = {"pe": lanes, "requantize": self.unit(self.format)}
        if not self.large and self.random.random() < 0.3:
            hardware["fifo"] = [pick([2, 9, 40]), pick([2, 16])]
        self.add(f"op: {op}, inputs: [{before}, {after}], output: {self.format}", hardware)

    def rearrange(self):
        """Nearest upsampling by two along both axes."""
        rows, columns, channels = self.shape
        if rows > 6 or columns > 6:
            return
        loops = [[rows, columns * channels], [2, 0], [columns, channels], [2, 0], [channels, 1]]
        self.shape = [2 * rows, 2 * columns, channels]
        self.add(f"op: rearrange, shape: {self.shape}, loops: {loops}", {"pe": self.random.choice(divisors(channels))})


class SerialChain(Chain):
    """Arrays of bit planes in time, most of them; with several modes in two plans of three."""

    def __init__(self, number):
        super().__init__(number)
        self.mode_count = self.random.choice([0, 2, 2, 3, 4, 8]) if self.random.random() < 0.8 else 0

    def array(self, op, text, outputs, length):
        pick, chance = self.random.choice, self.random.random
        if chance() < 0.15:
            return super().array(op, text, outputs, length)
        weight, output = self.weight(), self.activation()
        pe, simd = self.folding(outputs, length, 3 * self.work)
        hardware = {"kind": "serial", "pe": pe, "simd": simd, "memory": pick(["lut", "lut", "block"]), "requantize": self.unit(output)}
        modes = ""
        if self.mode_count and chance() < 0.8:
            planes = [[self.bits(weight), self.bits(self.format)]]
            planes += [[pick(range(1, bits + 1)) for bits in planes[0]] for _ in range(self.mode_count - 1)]
            modes = f", modes: {planes}"
        self.add(f"op: {op}, {text}outputs: {outputs}, weight: {weight}, output: {output}{modes}", hardware)
        self.format = output


def plan(number):
    """The text of plan `number`."""
    chain = SerialChain(number % SERIAL) if number >= SERIAL else Chain(number)
    kinds = [chain.conv] * 8 + [chain.depthwise] * 2 + [chain.max_pool] * 2 + [chain.requantize, chain.branch, chain.rearrange]
    for _ in range(chain.random.choice([2, 3, 3, 4] if chain.large else [1, 1, 2, 2, 3])):
        chain.random.choice(kinds)()
    if chain.random.random() < 0.2:
        chain.pool("sum_pool")
    if chain.random.random() < 0.35 and chain.shape[0] * chain.shape[1] * chain.shape[2] <= 512:
        chain.dense()
        if not chain.large and chain.random.random() < 0.3:
            chain.add("op: argmax", {"pe": chain.random.choice(divisors(chain.shape[2]))})
    if not chain.layers:
        chain.requantize()
    while number >= SERIAL and not any("kind: serial" in layer for layer in chain.layers):
        chain.dense()
    lines = ["hwgen: 1", "name: fit", f"random: {{ seed: {number % SERIAL % LARGE} }}", f"input: {chain.input}", "layers:", *chain.layers]
    return "\n".join(lines) + "\n"
