/* The vector functions of vec.h, but for attention, for the instruction set this translation unit is compiled for. */
#include "kernels/vec/vec.h"
#include "kernels/vec/pairs.h"

static float sum_squares(const float *x, float shift, int64_t n)
{
    vf a = {0}, b = {0};
    int64_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) {
        const vf u = load(x + i) - shift, v = load(x + i + VW) - shift;
        a = fma_(u, u, a);
        b = fma_(v, v, b);
    }
    float total = sum(a + b);
    for (; i < n; i++) total += (x[i] - shift) * (x[i] - shift);
    return total;
}

static float sum_values(const float *x, int64_t n)
{
    vf a = {0}, b = {0};
    int64_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) {
        a += load(x + i);
        b += load(x + i + VW);
    }
    float total = sum(a + b);
    for (; i < n; i++) total += x[i];
    return total;
}

/* out = (x - shift) * scale * weight + bias */
static void normalize(const float *x, float shift, float scale, const float *weight, const float *bias, int64_t n,
                      float *out)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        vf v = (load(x + i) - shift) * scale;
        if (weight) v *= load(weight + i);
        if (bias) v += load(bias + i);
        store(out + i, v);
    }
    for (; i < n; i++) out[i] = (x[i] - shift) * scale * (weight ? weight[i] : 1) + (bias ? bias[i] : 0);
}

static void rms_norm(const float *x, const float *weight, const float *bias, int64_t n, float eps, float *out)
{
    const float scale = 1.0f / sqrtf(sum_squares(x, 0, n) / (float)n + eps);
    normalize(x, 0, scale, weight, bias, n, out);
}

static void layer_norm(const float *x, const float *weight, const float *bias, int64_t n, float eps, float *out)
{
    const float mean = sum_values(x, n) / (float)n;
    const float scale = 1.0f / sqrtf(sum_squares(x, mean, n) / (float)n + eps);
    normalize(x, mean, scale, weight, bias, n, out);
}

/* x Phi(x), Phi the normal distribution. erfc(z) = e^(-z^2) t P(t), t = 1 / (1 + 0.4 z), with the polynomial of degree 9
 * that has the least square of relative error at Chebyshev's points for z up to 10: 1e-8 before rounding. */
INLINE vf gelu_erf(vf x)
{
    static const float c[] = {0.2249155044555664f,   0.21524423360824585f, 0.1280595362186432f,  0.2770496606826782f,
                              -0.29419630765914917f, 0.5598930716514587f,  -0.5086156129837036f, 0.20237118005752563f,
                              -0.030429895967245102f};
    const vf z = max_(x, -x) * splat(0.70710678f), t = splat(1.0f) / fma_(z, splat(0.4f), splat(1.0f));
    vf p = splat(c[8]);
    for (int i = 7; i >= 0; i--) p = fma_(p, t, splat(c[i]));
    p = fma_(p, t, splat(0.22570866346359253f));
    const vf half = splat(0.5f) * p * t * exp_(-(z * z));
    return x * pick(x > (vf){0}, splat(1.0f) - half, half);
}

/* log(1 + e^x) = max(x, 0) + log(1 + y), y = e^-|x|. log(1 + y) = 2 artanh s, s = y / (2 + y) <= 1/3: its series to s^15. */
INLINE vf softplus_(vf x)
{
    const vf y = exp_(-max_(x, -x)), s = y / (y + splat(2.0f)), q = s * s;
    vf p = splat(1.0f / 15);
    p = fma_(p, q, splat(1.0f / 13));
    p = fma_(p, q, splat(1.0f / 11));
    p = fma_(p, q, splat(1.0f / 9));
    p = fma_(p, q, splat(1.0f / 7));
    p = fma_(p, q, splat(1.0f / 5));
    p = fma_(p, q, splat(1.0f / 3));
    p = fma_(p, q, splat(1.0f));
    return fma_(s + s, p, max_((vf){0}, x));
}

/* fn(x) * y, where `gated`, or fn(x). */
INLINE vf apply(oxi_fn fn, vf x, vf y, bool gated)
{
    switch (fn) {
    case OXI_FN_SILU: x = x * sigmoid_(x); break;
    case OXI_FN_GELU: { /* x / 2 (1 + tanh u) = x sigmoid(2u), u = sqrt(2 / pi) (x + 0.044715 x^3) */
        const vf u = splat(0.7978845608f) * x * fma_(x * x, splat(0.044715f), splat(1.0f));
        x = x * sigmoid_(u + u);
        break;
    }
    case OXI_FN_RELU: x = max_((vf){0}, x); break;
    case OXI_FN_RELU2: { const vf r = max_((vf){0}, x); x = r * r; break; }
    case OXI_FN_SIGMOID: x = sigmoid_(x); break;
    case OXI_FN_TANH: x = tanh_(x); break;
    case OXI_FN_GELU_ERF: x = gelu_erf(x); break;
    case OXI_FN_GELU_QUICK: x = x * sigmoid_(splat(1.702f) * x); break;
    case OXI_FN_SOFTPLUS: x = softplus_(x); break;
    case OXI_FN_EXP: x = exp_(x); break;
    case OXI_FN_SWIGLU_CLAMPED: { /* min_ and max_ keep a NaN in their second operand */
        const vf g = min_(splat(7.0f), x), u = max_(splat(-7.0f), min_(splat(7.0f), y));
        return g * sigmoid_(splat(1.702f) * g) * (u + splat(1.0f));
    }
    default: break;
    }
    return gated ? x * y : x;
}

INLINE void glu_of(oxi_fn fn, const float *x, const float *times, int64_t n, float *out)
{
    const bool gated = times;
    int64_t i = 0;
    for (; i + VW <= n; i += VW) store(out + i, apply(fn, load(x + i), gated ? load(times + i) : (vf){0}, gated));
    if (i < n)
        store_part(out + i, apply(fn, load_part(x + i, n - i), gated ? load_part(times + i, n - i) : (vf){0}, gated), n - i);
}

static void glu(oxi_fn fn, const float *x, const float *times, int64_t n, float *out)
{
    switch (fn) { /* once per row, not per vector */
    case OXI_FN_SILU: glu_of(OXI_FN_SILU, x, times, n, out); break;
    case OXI_FN_GELU: glu_of(OXI_FN_GELU, x, times, n, out); break;
    case OXI_FN_RELU: glu_of(OXI_FN_RELU, x, times, n, out); break;
    case OXI_FN_RELU2: glu_of(OXI_FN_RELU2, x, times, n, out); break;
    case OXI_FN_SIGMOID: glu_of(OXI_FN_SIGMOID, x, times, n, out); break;
    case OXI_FN_TANH: glu_of(OXI_FN_TANH, x, times, n, out); break;
    case OXI_FN_GELU_ERF: glu_of(OXI_FN_GELU_ERF, x, times, n, out); break;
    case OXI_FN_GELU_QUICK: glu_of(OXI_FN_GELU_QUICK, x, times, n, out); break;
    case OXI_FN_SOFTPLUS: glu_of(OXI_FN_SOFTPLUS, x, times, n, out); break;
    case OXI_FN_EXP: glu_of(OXI_FN_EXP, x, times, n, out); break;
    case OXI_FN_SWIGLU_CLAMPED: glu_of(OXI_FN_SWIGLU_CLAMPED, x, times, n, out); break;
    default: glu_of(OXI_FN_NONE, x, times, n, out); break;
    }
}

static void affine(const float *x, float scale, const float *times, const float *bias, const float *addend, int64_t n,
                   float *out)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) {
        vf v = load(x + i) * scale;
        if (times) v *= load(times + i);
        if (bias) v += load(bias + i);
        if (addend) v += load(addend + i);
        store(out + i, v);
    }
    for (; i < n; i++) {
        float v = x[i] * scale;
        if (times) v *= times[i];
        if (bias) v += bias[i];
        if (addend) v += addend[i];
        out[i] = v;
    }
}

static void clamp(const float *x, float low, float high, int64_t n, float *out)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) store(out + i, max_(splat(low), min_(splat(high), load(x + i))));
    if (i < n) store_part(out + i, max_(splat(low), min_(splat(high), load_part(x + i, n - i))), n - i);
}

static void softcap(const float *x, float cap, int64_t n, float *out)
{
    const float inverse = 1.0f / cap;
    int64_t i = 0;
    for (; i + VW <= n; i += VW) store(out + i, tanh_(load(x + i) * inverse) * cap);
    if (i < n) store_part(out + i, tanh_(load_part(x + i, n - i) * inverse) * cap, n - i);
}

static void rope_pairs(float *x, const float *table, int32_t half, int32_t n_heads, int32_t head_dim)
{
    const float *restrict cosines = table, *restrict sines = table + half;
    for (int32_t h = 0; h < n_heads; h++) {
        float *restrict y = x + (int64_t)h * head_dim;
        for (int32_t i = 0; i < half; i++) {
            const float a = y[2 * i], b = y[2 * i + 1];
            y[2 * i] = a * cosines[i] - b * sines[i];
            y[2 * i + 1] = a * sines[i] + b * cosines[i];
        }
    }
}

static void rope_halves(float *x, const float *table, int32_t half, int32_t n_heads, int32_t head_dim)
{
    const float *restrict cosines = table, *restrict sines = table + half;
    for (int32_t h = 0; h < n_heads; h++) {
        float *restrict y = x + (int64_t)h * head_dim, *restrict z = y + half;
        for (int32_t i = 0; i < half; i++) {
            const float a = y[i], b = z[i];
            y[i] = a * cosines[i] - b * sines[i];
            z[i] = a * sines[i] + b * cosines[i];
        }
    }
}

static void to_f16(const float *x, int64_t n, uint16_t *out)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) store_half(out + i, load(x + i));
    for (; i < n; i++) out[i] = float_to_half(x[i]);
}

static void from_f16(const uint16_t *x, int64_t n, float *out)
{
    int64_t i = 0;
    for (; i + VW <= n; i += VW) store(out + i, load_half(x + i));
    for (; i < n; i++) out[i] = half_to_float(x[i]);
}

/* x = e^(x - m) for n values (a multiple of VW), none above m; returns their sum. If m = -inf (nothing to attend to),
 * all become zero. */
static float exp_and_sum(float *x, int64_t n, float m)
{
    if (m == -INFINITY) {
        memset(x, 0, (size_t)n * sizeof *x);
        return 0;
    }
    vf total = {0};
    for (int64_t i = 0; i < n; i += VW) {
        const vf e = exp_below(load(x + i) - m);
        store(x + i, e);
        total += e;
    }
    return sum(total);
}

static void softmax(float *x, int64_t n)
{
    float m = -INFINITY, total = 0;
    for (int64_t i = 0; i < n; i++) m = m > x[i] ? m : x[i];
    if (m == -INFINITY) {
        memset(x, 0, (size_t)n * sizeof *x);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        x[i] = exp_(splat(x[i] - m))[0];
        total += x[i];
    }
    for (int64_t i = 0; i < n; i++) x[i] /= total;
}
