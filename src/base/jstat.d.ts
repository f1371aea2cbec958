/** The part of jStat that is used; it comes without types. */
declare module 'jstat' {
  const jStat: {
    readonly normal: {
      /** Quantile. */
      inv(p: number, mean: number, deviation: number): number;
    };
    /** Student's t with `dof` degrees of freedom. */
    readonly studentt: {
      cdf(t: number, dof: number): number;
      /** Quantile; its relative error is below 1e-7. */
      inv(p: number, dof: number): number;
    };
  };
  export default jStat;
}
