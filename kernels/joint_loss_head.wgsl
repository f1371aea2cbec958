// import sum_threads.wgsl
// Cross-entropy and the divergence of teacher p and student q for a chunk of tokens, and their gradient in the student's
// logits. Logits come from linear.wgsl: zs [tokens, vocabulary], zt [tokens, shared], shared = min(V, V_t), or no zt.
//   ce = -log softmax(zs)[label]
//   kl = tau^2 D, p = softmax(zt / tau), q = softmax(zs / tau) over the shared entries, m = beta p + (1 - beta) q
//        FORWARD D = KL(p || q)    REVERSE D = KL(q || p)    JSD D = beta KL(p || m) + (1 - beta) KL(q || m)
//   zs = loss_scale (ce_weight (softmax(zs) - onehot(label)) + kl_weight tau dD)   where GRADIENT; loss_scale if SCALED
//        FORWARD dD = q - p        REVERSE dD = q (log(q / p) - D)       JSD dD = (1 - beta) q (log(q / m) - KL(q || m))
// ce, kl, zs are 0 where the label is negative. d_hidden = zs head and d_head = zs^T hidden follow, by linear.wgsl.
// arg_max = the first entry of the largest logit of zs, -100 where the label is negative (joint_loss_arg_max).
// One workgroup computes one token, in passes over its logits: maxima, sums, mixture (JSD), gradient. Sums go thread by
// thread in steps of THREADS, then by halves. All results are written (=); the gradient takes the place of zs.

override TEACHER: bool = false;
override GRADIENT: bool = false;
override SCALED: bool = false;
// src/program/ops/joint_loss_head.ts: DIVERGENCES.
override DIVERGENCE: u32 = 0;

const FORWARD = 0u;
const REVERSE = 1u;
const JSD = 2u;

const LOWEST: f32 = -0x1.fffffep+127;

struct Shape {
  // The chunk's first token in labels, ce and kl.
  first: u32,
  vocabulary: u32,
  shared_entries: u32,
  tau: f32,
  inverse_tau: f32,
  ce_weight: f32,
  kl_weight: f32,
  beta: f32,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> labels: array<i32>;
@group(0) @binding(2) var<storage, read_write> zs: array<f32>;
@group(0) @binding(3) var<storage, read_write> zt: array<f32>;
@group(0) @binding(4) var<storage, read_write> ce: array<f32>;
@group(0) @binding(5) var<storage, read_write> kl: array<f32>;
@group(0) @binding(6) var<uniform> loss_scale: f32;

// x student, y tempered student, z teacher, w cross term.
alias Summed = vec4f;

fn all_max(thread: u32, value: vec4f) -> vec4f {
  partials[thread] = value;
  for (var half = THREADS / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread < half) {
      partials[thread] = max(partials[thread], partials[thread + half]);
    }
  }
  return workgroupUniformLoad(&partials[0]);
}

// The largest logits of a token whose rows begin at s and t.
fn maxima(thread: u32, s: u32, t: u32) -> vec4f {
  var m = vec4f(LOWEST);
  for (var j = thread; j < shape.vocabulary; j += THREADS) {
    m.x = max(m.x, zs[s + j]);
  }
  if (TEACHER) {
    for (var j = thread; j < shape.shared_entries; j += THREADS) {
      m.y = max(m.y, zs[s + j] * shape.inverse_tau);
      m.z = max(m.z, zt[t + j] * shape.inverse_tau);
    }
  }
  return all_max(thread, m);
}

// Sums of e^(z - m), and of e^(zt / tau - m) (zt - zs) / tau (FORWARD) or e^(zs / tau - m) (zs - zt) / tau (REVERSE).
fn sums(thread: u32, s: u32, t: u32, m: vec4f) -> vec4f {
  var l = vec4f(0);
  for (var j = thread; j < shape.vocabulary; j += THREADS) {
    l.x += exp(zs[s + j] - m.x);
  }
  if (TEACHER) {
    for (var j = thread; j < shape.shared_entries; j += THREADS) {
      let teacher = exp(zt[t + j] * shape.inverse_tau - m.z);
      let student = exp(zs[s + j] * shape.inverse_tau - m.y);
      let difference = (zt[t + j] - zs[s + j]) * shape.inverse_tau;
      l.y += student;
      l.z += teacher;
      if (DIVERGENCE == FORWARD) {
        l.w = fma(teacher, difference, l.w);
      } else if (DIVERGENCE == REVERSE) {
        l.w = fma(student, -difference, l.w);
      }
    }
  }
  return sum_threads(thread, l);
}

// log(m / q) = log(beta e^r + 1 - beta) for r = log(p / q); the larger of p, q is factored out.
fn log_mixture(r: f32) -> f32 {
  let student = 1 - shape.beta;
  let e = exp(-abs(r));
  return max(r, 0) + log(select(fma(shape.beta, e, student), fma(student, e, shape.beta), r > 0));
}

// log(sum e^(zt / tau) / sum e^(zs / tau)).
fn normaliser(m: vec4f, l: vec4f) -> f32 {
  return m.z - m.y + log(l.z / l.y);
}

// KL(p || m) and KL(q || m).
fn mixture(thread: u32, s: u32, t: u32, m: vec4f, l: vec4f) -> vec2f {
  let norm = normaliser(m, l);
  var sum = vec4f(0);
  for (var j = thread; j < shape.shared_entries; j += THREADS) {
    let r = (zt[t + j] - zs[s + j]) * shape.inverse_tau - norm;
    let log_m_q = log_mixture(r);
    sum.x += exp(zt[t + j] * shape.inverse_tau - m.z) * (r - log_m_q);
    sum.y -= exp(zs[s + j] * shape.inverse_tau - m.y) * log_m_q;
  }
  return sum_threads(thread, sum).xy / l.zy;
}

// The divergence, and the mean under q that its gradient is centred on: of log(q / p) or log(q / m).
fn divergence(thread: u32, s: u32, t: u32, m: vec4f, l: vec4f) -> vec2f {
  if (DIVERGENCE == JSD) {
    let kl = mixture(thread, s, t, m, l);
    return vec2f(shape.beta * kl.x + (1 - shape.beta) * kl.y, kl.y);
  }
  if (DIVERGENCE == REVERSE) {
    return vec2f(l.w / l.y + normaliser(m, l));
  }
  return vec2f(l.w / l.z - normaliser(m, l), 0);
}

fn write_gradient(thread: u32, s: u32, t: u32, m: vec4f, l: vec4f, mean: f32, label: u32) {
  let norm = normaliser(m, l);
  let scale = select(1, loss_scale, SCALED);
  let ce_weight = scale * shape.ce_weight;
  let kl_weight = scale * shape.kl_weight * shape.tau;
  let student = ce_weight / l.x;
  let tempered = kl_weight / l.y;
  let teacher = kl_weight / l.z;
  for (var j = thread; j < shape.vocabulary; j += THREADS) {
    let z = zs[s + j];
    var g = student * exp(z - m.x);
    if (j == label) {
      g -= ce_weight;
    }
    if (TEACHER && j < shape.shared_entries) {
      let y = zt[t + j];
      let q = tempered * exp(z * shape.inverse_tau - m.y);
      let r = (y - z) * shape.inverse_tau - norm;
      if (DIVERGENCE == JSD) {
        g -= (1 - shape.beta) * q * (log_mixture(r) + mean);
      } else if (DIVERGENCE == REVERSE) {
        g -= q * (r + mean);
      } else {
        g += q - teacher * exp(y * shape.inverse_tau - m.z);
      }
    }
    zs[s + j] = g;
  }
}

fn clear_gradient(thread: u32, s: u32) {
  for (var j = thread; j < shape.vocabulary; j += THREADS) {
    zs[s + j] = 0;
  }
}

@compute @workgroup_size(THREADS)
fn joint_loss_rows(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
  let token = shape.first + group.x;
  let s = group.x * shape.vocabulary;
  let t = group.x * shape.shared_entries;
  let label = labels[token];
  if (label < 0) {
    if (GRADIENT) {
      clear_gradient(thread, s);
    }
    if (thread == 0) {
      ce[token] = 0;
      kl[token] = 0;
    }
    return;
  }
  let m = maxima(thread, s, t);
  let l = sums(thread, s, t, m);
  var d = vec2f(0);
  if (TEACHER) {
    d = divergence(thread, s, t, m, l);
  }
  if (thread == 0) {
    ce[token] = m.x - zs[s + u32(label)] + log(l.x);
    kl[token] = shape.tau * shape.tau * d.x;
  }
  if (GRADIENT) {
    storageBarrier();
    write_gradient(thread, s, t, m, l, d.y, u32(label));
  }
}

struct Row {
  first: u32,
  vocabulary: u32,
}

@group(0) @binding(0) var<uniform> row: Row;
@group(0) @binding(3) var<storage, read_write> arg_max: array<i32>;

@compute @workgroup_size(THREADS)
fn joint_loss_arg_max(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
  let token = row.first + group.x;
  if (labels[token] < 0) {
    if (thread == 0) {
      arg_max[token] = -100;
    }
    return;
  }
  let s = group.x * row.vocabulary;
  var largest = LOWEST;
  var entry = 0u;
  for (var j = thread; j < row.vocabulary; j += THREADS) {
    if (zs[s + j] > largest) {
      largest = zs[s + j];
      entry = j;
    }
  }
  let most = all_max(thread, vec4f(largest)).x;
  // Entries are below 2^24, where f32 has every integer: the first one is the largest of their negatives.
  let first = all_max(thread, vec4f(select(LOWEST, -f32(entry), largest == most))).x;
  if (thread == 0) {
    arg_max[token] = i32(-first);
  }
}
