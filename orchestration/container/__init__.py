"""The images of docker-compose.yml, and what their volumes must hold before the services start."""
