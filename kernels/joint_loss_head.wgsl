// Cross-entropy and KL(teacher || student) of a chunk of tokens, and their gradient in the student's logits.
// Logits come from linear.wgsl: zs [tokens, vocabulary], zt [tokens, shared], shared = min(V, V_t), or no zt.
//   ce = -log softmax(zs)[label]
//   kl = tau^2 KL(softmax(zt / tau) || softmax(zs / tau)) over the shared entries
//   zs = ce_weight (softmax(zs) - onehot(label))
//      + kl_weight tau (softmax(zs / tau) - softmax(zt / tau))        where GRADIENT; d_hidden = zs head follows
// ce, kl, zs are 0 where the label is negative.
// One workgroup computes one token, in three passes over its logits: maxima, sums, gradient. Sums go thread by thread
// in steps of THREADS, then by halves. All results are written (=); the gradient takes the place of zs.

// A power of two.
override THREADS: u32 = 256;
override TEACHER: bool = false;
override GRADIENT: bool = false;

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
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> labels: array<i32>;
@group(0) @binding(2) var<storage, read_write> zs: array<f32>;
@group(0) @binding(3) var<storage, read_write> zt: array<f32>;
@group(0) @binding(4) var<storage, read_write> ce: array<f32>;
@group(0) @binding(5) var<storage, read_write> kl: array<f32>;

// x student, y tempered student, z teacher, w cross term.
var<workgroup> partials: array<vec4f, THREADS>;

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

fn all_sum(thread: u32, value: vec4f) -> vec4f {
  partials[thread] = value;
  for (var half = THREADS / 2; half > 0; half /= 2) {
    workgroupBarrier();
    if (thread < half) {
      partials[thread] += partials[thread + half];
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

// Sums of e^(z - m), and of e^(zt / tau - m) (zt - zs) / tau.
fn sums(thread: u32, s: u32, t: u32, m: vec4f) -> vec4f {
  var l = vec4f(0);
  for (var j = thread; j < shape.vocabulary; j += THREADS) {
    l.x += exp(zs[s + j] - m.x);
  }
  if (TEACHER) {
    for (var j = thread; j < shape.shared_entries; j += THREADS) {
      let e = exp(zt[t + j] * shape.inverse_tau - m.z);
      l.y += exp(zs[s + j] * shape.inverse_tau - m.y);
      l.z += e;
      l.w = fma(e, (zt[t + j] - zs[s + j]) * shape.inverse_tau, l.w);
    }
  }
  return all_sum(thread, l);
}

fn write_gradient(thread: u32, s: u32, t: u32, m: vec4f, l: vec4f, label: u32) {
  let student = shape.ce_weight / l.x;
  let tempered = shape.kl_weight * shape.tau / l.y;
  let teacher = shape.kl_weight * shape.tau / l.z;
  for (var j = thread; j < shape.vocabulary; j += THREADS) {
    let z = zs[s + j];
    var g = student * exp(z - m.x);
    if (j == label) {
      g -= shape.ce_weight;
    }
    if (TEACHER && j < shape.shared_entries) {
      g += tempered * exp(z * shape.inverse_tau - m.y) - teacher * exp(zt[t + j] * shape.inverse_tau - m.z);
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
  if (thread == 0) {
    ce[token] = m.x - zs[s + u32(label)] + log(l.x);
    kl[token] = 0;
    if (TEACHER) {
      kl[token] = shape.tau * shape.tau * (l.w / l.z - (m.z - m.y) - log(l.z / l.y));
    }
  }
  if (GRADIENT) {
    storageBarrier();
    write_gradient(thread, s, t, m, l, u32(label));
  }
}
