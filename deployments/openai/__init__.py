"""The parts of OpenAI's protocol that models here can answer: embeddings, and the list of models."""
