import type { Style } from './chart.js';

/**
 * Colours and shapes that tell series apart, also without seeing colour: lines have the hues of Okabe and Ito (2008),
 * made to stand 3 : 1 from the paper, batches an order of lightness and hue as viridis has.
 */
const LINE_COLORS = {
  light: ['#0072b2', '#c44e00', '#00805d', '#a8427f', '#946000', '#2b7fb0', '#5a5a5a'],
  dark: ['#56b4e9', '#f08a4b', '#2fc79a', '#e49bc4', '#e6b43c', '#9ad0f5', '#b8b8b8'],
} as const;
const ORDER_COLORS = {
  light: ['#440154', '#46327e', '#365c8d', '#277f8e', '#16876d', '#3d8b37', '#7c8412', '#a3700a'],
  dark: ['#b08be8', '#8f9bf0', '#62acdf', '#43bfc0', '#4fcb93', '#8bd45f', '#c8dc3e', '#fde725'],
} as const;

/** The control's colour, which is grey, and shape are the last ones. */
const CONTROL_PLACE = LINE_COLORS.light.length - 1;

const SHAPES = [
  'M0,-1A1,1,0,1,1,0,1A1,1,0,1,1,0,-1Z',
  'M-0.9,-0.9L0.9,-0.9L0.9,0.9L-0.9,0.9Z',
  'M0,-1.1L1.1,0.9L-1.1,0.9Z',
  'M0,-1.25L1.1,0L0,1.25L-1.1,0Z',
  'M0,1.1L1.1,-0.9L-1.1,-0.9Z',
  'M-0.35,-1.1L0.35,-1.1L0.35,-0.35L1.1,-0.35L1.1,0.35L0.35,0.35L0.35,1.1L-0.35,1.1L-0.35,0.35L-1.1,0.35L-1.1,-0.35L-0.35,-0.35Z',
  'M1.1,0L-0.9,-1.1L-0.9,1.1Z',
  'M-1.1,0L0.9,-1.1L0.9,1.1Z',
] as const;

const variables = (theme: 'light' | 'dark'): string =>
  [
    ...LINE_COLORS[theme].map((color, i) => `--line${i}:${color}`),
    ...ORDER_COLORS[theme].map((color, i) => `--order${i}:${color}`),
  ].join(';');

/** Declarations of the colours, for a rule of CSS. */
export const COLORS = { light: variables('light'), dark: variables('dark') } as const;

/** Of the i-th line, apart from the control. */
export const lineStyle = (i: number): Style => ({
  color: `var(--line${i % CONTROL_PLACE})`,
  shape: SHAPES[i % (SHAPES.length - 1)]!,
});

export const CONTROL_STYLE: Style = { color: `var(--line${CONTROL_PLACE})`, shape: SHAPES.at(-1)! };

/** Of the i-th of `count` ordered values. */
export const orderStyle = (i: number, count: number): Style => {
  const last = ORDER_COLORS.light.length - 1;
  const place = count < 2 ? 0 : Math.round((i * last) / (count - 1));
  return { color: `var(--order${place})`, shape: SHAPES[i % SHAPES.length]! };
};

/** A dashed line to compare with. */
export const REFERENCE: Style = { color: 'var(--muted)', dash: true };
