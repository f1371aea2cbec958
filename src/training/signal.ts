import type { Session } from '../devices/device.js';
import type { TeacherSignal } from '../messages.js';
import type { StepValues } from '../model/programs.js';

/** Writes what the teacher says of a micro-batch to where the student's step reads it. */
export async function writeSignal(session: Session, step: StepValues, signal: TeacherSignal): Promise<void> {
  switch (signal.kind) {
    case 'none':
      return;
    case 'hidden':
      return session.write(step.teacherHidden!, signal.hidden);
  }
}
