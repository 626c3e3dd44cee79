# The migrations of @name@ as a task on Fargate, and what the pipeline may do that starts it.

variable "image" {
  description = "The image with lockkeeper and the migrations"
  type        = string
}

variable "cluster_name" {
  description = "The cluster in which migrations run"
  type        = string
}

variable "service_name" {
  description = "The service whose subnets and security groups the task takes"
  type        = string
}

variable "database_url_secret_arn" {
  description = "The secret with the database's URL"
  type        = string
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  ecs     = "arn:${data.aws_partition.current.partition}:ecs:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}"
  cluster = "${local.ecs}:cluster/${var.cluster_name}"
}

resource "aws_cloudwatch_log_group" "migrate" {
  name              = "/@name@/migrate"
  retention_in_days = 30
}

data "aws_iam_policy_document" "tasks_assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "execution" {
  name               = "@name@-migrate-execution"
  assume_role_policy = data.aws_iam_policy_document.tasks_assume.json
}

resource "aws_iam_role_policy_attachment" "execution" {
  role       = aws_iam_role.execution.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "secret" {
  name = "database-url"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = [var.database_url_secret_arn]
    }]
  })
}

resource "aws_ecs_task_definition" "migrate" {
  family                   = "@name@-migrate"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.execution.arn

  container_definitions = jsonencode([
    {
      name         = "migrate"
      image        = var.image
      essential    = true
      command      = ["up", "--phase", "expand"]
      portMappings = [{ containerPort = 9002, protocol = "tcp" }]
      stopTimeout  = 30
      environment = [
        { name = "LOCKKEEPER_LOG_FORMAT", value = "json" },
        { name = "LOCKKEEPER_STOP_TIMEOUT", value = "25s" },
      ]
      secrets = [
        { name = "DATABASE_URL", valueFrom = var.database_url_secret_arn },
      ]
      logConfiguration = {
        logDriver = "awslogs"
        options = {
          "awslogs-group"         = aws_cloudwatch_log_group.migrate.name
          "awslogs-region"        = data.aws_region.current.name
          "awslogs-stream-prefix" = "migrate"
        }
      }
    },
  ])
}

# Attach it to the role of the pipeline. It is what `lockkeeper ecs policy run` prints.
data "aws_iam_policy_document" "run" {
  statement {
    sid       = "ReadService"
    actions   = ["ecs:DescribeServices"]
    resources = ["${local.ecs}:service/${var.cluster_name}/${var.service_name}"]
  }

  statement {
    sid       = "ReadDefinitions"
    actions   = ["ecs:DescribeTaskDefinition"]
    resources = ["*"]
  }

  statement {
    sid       = "RunTask"
    actions   = ["ecs:RunTask"]
    resources = ["${local.ecs}:task-definition/${aws_ecs_task_definition.migrate.family}:*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [local.cluster]
    }
  }

  # Its resources are container instances, which tasks on Fargate don't have.
  statement {
    sid       = "ListTasks"
    actions   = ["ecs:ListTasks"]
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [local.cluster]
    }
  }

  statement {
    sid       = "ReadTasks"
    actions   = ["ecs:DescribeTasks"]
    resources = ["${local.ecs}:task/${var.cluster_name}/*"]
  }

  statement {
    sid       = "StopTask"
    actions   = ["ecs:StopTask"]
    resources = ["${local.ecs}:task/${var.cluster_name}/*"]
  }

  statement {
    sid       = "PassRoles"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.execution.arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  statement {
    sid       = "ReadLog"
    actions   = ["logs:GetLogEvents"]
    resources = ["${aws_cloudwatch_log_group.migrate.arn}:log-stream:*"]
  }
}

resource "aws_iam_policy" "run" {
  name   = "@name@-migrate-run"
  policy = data.aws_iam_policy_document.run.json
}

output "task_definition" {
  description = "For `lockkeeper ecs run --task-definition`"
  value       = aws_ecs_task_definition.migrate.family
}

output "run_policy_arn" {
  description = "For the role of the pipeline"
  value       = aws_iam_policy.run.arn
}
