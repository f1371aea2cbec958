/** Made-up meetings in the layout of QMSum. */

export const turn = (speaker: string, content: string) => ({ speaker, content });

export const QUERIES = [
  { query: 'What about lunch?', answer: 'It is at noon. ', relevant_text_span: [['1', '2']] },
  {
    query: ' What did Cy say?',
    answer: 'Cy wants tea,\nand no soup.',
    relevant_text_span: [
      ['4', '4'],
      ['2', '3'],
    ],
  },
];

export const MEETING = {
  meeting_id: 'made-up-1',
  topic_list: [{ topic: 'Lunch', relevant_text_span: [['0', '4']] }],
  general_query_list: [{ query: 'Summarize the meeting.', answer: 'They planned a lunch.' }],
  specific_query_list: QUERIES,
  meeting_transcripts: [
    turn('Al', 'Shall we begin ?'),
    turn('Bo', 'When is lunch ?'),
    turn('Al', 'At noon .'),
    turn('Cy', 'No soup for me .'),
    turn('Cy', 'Is there tea ?'),
    turn('Bo', ''),
  ],
};

export const OTHER = {
  meeting_id: 'made-up-2',
  general_query_list: [{ query: 'Summarize it.', answer: 'Nobody came.' }],
  specific_query_list: [{ query: 'Who came?', answer: 'Nobody.', relevant_text_span: [[0, 0]] }],
  meeting_transcripts: [turn('Di', 'Hello ?')],
};

export const meetingLines = (meetings: readonly object[]): string =>
  meetings.map((meeting) => `${JSON.stringify(meeting)}\n`).join('');
