// The words of a verdict, the same as in gradcam_core/analysis/trust/verdict.py.

export const VERDICTS = { holds: "This map holds", unclear: "Not clear", fails: "This map fails" };

/** An outcome as a screen reader says it before its reason. */
export const OUTCOMES = { holds: "Holds: ", unclear: "Not clear: ", fails: "Fails: " };

/** A clause as it stands alone. */
export const capitalised = (clause) => clause && clause[0].toUpperCase() + clause.slice(1);
