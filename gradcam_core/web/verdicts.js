// The words of a verdict, as in gradcam_core/analysis/trust/verdict.py.

export const VERDICTS = { holds: "This map holds", unclear: "Not clear", fails: "This map fails" };

/** What a screen reader says before the reason of an outcome. */
export const OUTCOMES = { holds: "Holds: ", unclear: "Not clear: ", fails: "Fails: " };

/** A clause with a capital letter, for use as a sentence. */
export const capitalised = (clause) => clause && clause[0].toUpperCase() + clause.slice(1);
