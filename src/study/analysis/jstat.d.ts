/** The part of jStat that is used; it comes without types. */
declare module 'jstat' {
  const jStat: {
    /** Student's t with `dof` degrees of freedom. */
    readonly studentt: {
      cdf(t: number, dof: number): number;
      /** Quantile; its relative error is below 1e-7. */
      inv(p: number, dof: number): number;
    };
  };
  export default jStat;
}
